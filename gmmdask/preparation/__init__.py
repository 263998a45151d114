"""What is done to raw columns before they are clustered: learned from moments, applied to blocks, stored.

Plain arrays in and out; nothing here reads files or knows of partitions.
"""

from __future__ import annotations

from gmmdask.preparation.recipe import Moments, Recipe, RowStatus

__all__ = ["Moments", "Recipe", "RowStatus"]
