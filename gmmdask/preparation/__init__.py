"""What is done to raw columns before they are clustered: learned from pass 0, applied to blocks, inverted, stored.

Plain arrays in and out; nothing here reads files or knows of partitions.
"""

from __future__ import annotations

from gmmdask.preparation.codes import category_code, category_codes, texts_of
from gmmdask.preparation.columns import CategoryColumn, NumericColumn
from gmmdask.preparation.evidence import CategoryPolicy, Evidence, Moments, NumericPolicy, Policy, Sample
from gmmdask.preparation.learning import learn_recipe
from gmmdask.preparation.recipe import Recipe, RowStatus

__all__ = [
    "CategoryColumn",
    "CategoryPolicy",
    "Evidence",
    "Moments",
    "NumericColumn",
    "NumericPolicy",
    "Policy",
    "Recipe",
    "RowStatus",
    "Sample",
    "category_code",
    "category_codes",
    "learn_recipe",
    "texts_of",
]
