"""A first look at a lake: which columns can be clustered, which describe, and the settings file that says so.

Looks at a bounded number of rows and writes nothing but that file. What a night does with the columns lives elsewhere.
"""

from gmmdask.inspection.columns import ColumnFacts, inspect_columns
from gmmdask.inspection.roles import Choice, Inspection, choose_roles
from gmmdask.inspection.sample import Sample, read_sample
from gmmdask.inspection.template import inspect_lake, settings_text, summary, write_settings

__all__ = [
    "Choice",
    "ColumnFacts",
    "Inspection",
    "Sample",
    "choose_roles",
    "inspect_columns",
    "inspect_lake",
    "read_sample",
    "settings_text",
    "summary",
    "write_settings",
]
