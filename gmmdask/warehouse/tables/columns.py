"""Columns by type, those that several tables have, and conditions on them."""

from __future__ import annotations

from gmmdask.warehouse.schema import Column


def text_column(name: str, meaning: str, *, nullable: bool = False) -> Column:
    """Return a column of text."""
    return Column(name=name, type="VARCHAR", meaning=meaning, nullable=nullable)


def integer_column(name: str, meaning: str, unit: str = "", *, nullable: bool = False) -> Column:
    """Return a column of whole numbers."""
    return Column(name=name, type="BIGINT", meaning=meaning, unit=unit, nullable=nullable)


def number_column(name: str, meaning: str, unit: str = "", *, nullable: bool = False) -> Column:
    """Return a column of floating-point numbers."""
    return Column(name=name, type="DOUBLE", meaning=meaning, unit=unit, nullable=nullable)


def flag_column(name: str, meaning: str, *, nullable: bool = False) -> Column:
    """Return a column of truth values."""
    return Column(name=name, type="BOOLEAN", meaning=meaning, nullable=nullable)


def date_column(name: str, meaning: str, *, nullable: bool = False) -> Column:
    """Return a column of dates."""
    return Column(name=name, type="DATE", meaning=meaning, nullable=nullable)


def time_column(name: str, meaning: str) -> Column:
    """Return a column of moments, with their time zone."""
    return Column(name=name, type="TIMESTAMP WITH TIME ZONE", meaning=meaning)


def json_column(name: str, meaning: str, *, nullable: bool = False) -> Column:
    """Return a column of JSON."""
    return Column(name=name, type="JSON", meaning=meaning, nullable=nullable)


def one_of(column: str, values: tuple[str, ...]) -> str:
    """Return the condition that a column holds one of these constants, as SQL."""
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


RUN_ID = text_column("run_id", "the run that wrote the row")
SEGMENTATION = text_column("segmentation", "name of the segmentation, from its settings file")
