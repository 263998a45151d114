"""What a recipe is learned from: what is asked for each column, and what pass 0 knows of the rows that train. Values only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gmmdask.preparation.columns import Transform, Unseen

Floats = NDArray[np.float64]
Scale = Literal["standard", "minmax", "none"]


@dataclass(frozen=True, kw_only=True, slots=True)
class NumericPolicy:
    """What is asked for a numeric column.

    Parameters
    ----------
    scale : {"standard", "minmax", "none"}, default "standard"
        To mean 0 and variance 1, to 0 and 1 at the extremes, or as it is.
    missing : {"drop", "mean", "median", "mode"} or float, default "drop"
        What happens to a row without a value: dropped, or the cell filled; a number is filled in as it is.
    transform : {"none", "arcsinh"}, default "none"
        Of the filled value, before scaling.
    """

    scale: Scale = "standard"
    missing: Literal["drop", "mean", "median", "mode"] | float = "drop"
    transform: Transform = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class CategoryPolicy:
    """What is asked for a column of categories.

    Parameters
    ----------
    fill : str, optional
        The category that a missing cell counts as.
    fill_by_mode : bool, default False
        Fill with the most frequent category instead.
    unseen : {"drop", "ignore"}, default "drop"
    """

    fill: str | None = None
    fill_by_mode: bool = False
    unseen: Unseen = "drop"


Policy = NumericPolicy | CategoryPolicy


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """What pass 0 knows of each column, over its values that are not missing.

    Parameters
    ----------
    features : tuple of str
        Names of the columns.
    count, mean, variance, minimum, maximum : ndarray of shape (n_features,)
        Count is the total weight; variance has it as divisor.
    missing : ndarray of shape (n_features,), optional
        Total weight of the rows that have no value and are filled; None where there is none.
    """

    features: tuple[str, ...]
    count: NDArray[Any]
    mean: Floats
    variance: Floats
    minimum: Floats
    maximum: Floats
    missing: Floats | None = None


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Sample:
    """Rows drawn evenly from those of pass 0.

    Parameters
    ----------
    values : ndarray of shape (n_features, n_rows)
        NaN where a value is missing and will be filled.
    weights : ndarray of shape (n_rows,)
        Positive.
    """

    values: Floats
    weights: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """Everything that a recipe is learned from.

    Parameters
    ----------
    moments : Moments
    sample : Sample, optional
        Needed for medians, modes and arcsinh.
    categories : mapping of str to collection of (str or None)
        The values of every category column in the rows that train; None among them where one is missing.
    """

    moments: Moments
    sample: Sample | None = None
    categories: Mapping[str, Collection[str | None]] = field(default_factory=dict)
