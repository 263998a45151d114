"""A model as a plain scikit-learn pipeline, which needs no gmmdask where it is used.

Every step is a class of scikit-learn or a function of NumPy or pandas, with its fitted values set rather than fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import singledispatch
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.mixture import GaussianMixture as SklearnMixture
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from gmmdask._inputs import precisions_of
from gmmdask.errors import InvalidInputError
from gmmdask.estimator import GaussianMixture
from gmmdask.mixture.parameters import SMALLEST_WEIGHT, MixtureParameters
from gmmdask.preparation import CategoryColumn, NumericColumn, Recipe
from gmmdask.scoring import SegmentModel

Step = tuple[str, object]

FAR = 100.0
"""Standard deviations of a component that its mean may lie from zero: ε·100² is well below the promised 1e-10."""


def export_pipeline(model: GaussianMixture | SegmentModel) -> Pipeline:
    """Return a fitted mixture, or the model of a night with its recipe, as a scikit-learn pipeline.

    The pipeline holds no reference to gmmdask, so that a joblib file of it opens wherever scikit-learn and pandas are.
    `predict` gives the position of a component, which is `segments.position` in the warehouse and, of a night's model, the
    place of the stable id in the attribute `segment_ids_`; `predict_proba` the probabilities in that order;
    `score_samples` the log density in prepared units, in nats.

    Parameters
    ----------
    model : GaussianMixture or SegmentModel
        A night's model takes a DataFrame of raw columns with the names of the lake; categories may be text, whole numbers
        or booleans. A row without a segment cannot be expressed: where a value is missing that is not filled, a value is
        infinite, or a category was never met (unless such are ignored), the pipeline raises ValueError.

    Returns
    -------
    sklearn.pipeline.Pipeline
        With a step "mixture", a night's model also with a step "preparation". Where the data lie far from zero for their
        spread, scikit-learn's densities would lose digits: a step "centre" then comes before a mixture of centred rows.

    Raises
    ------
    NotFittedError
        The mixture is not fitted.
    InvalidInputError
        The model is of another kind, or scikit-learn cannot express its recipe.

    Examples
    --------
    >>> rows = np.concatenate([np.arange(20.0), np.arange(50.0, 70.0)])[:, None]
    >>> fitted = GaussianMixture(2, random_state=0).fit(rows)
    >>> export_pipeline(fitted).predict([[1.0], [60.0]]).tolist() == fitted.predict([[1.0], [60.0]]).tolist()
    True
    """
    if isinstance(model, GaussianMixture):
        check_is_fitted(model)
        pipeline = Pipeline(_mixture_steps(model._parameters()))
        told = ("converged_", "n_iter_", "lower_bound_")
        vars(pipeline["mixture"]).update({name: value for name, value in vars(model).items() if name in told})
        if (names := getattr(model, "feature_names_in_", None)) is not None:
            pipeline[0].feature_names_in_ = names
        return pipeline
    if not isinstance(model, SegmentModel):
        raise InvalidInputError(
            f"a {type(model).__name__} cannot be exported: pass a fitted gmmdask.GaussianMixture or a night's model"
        )
    pipeline = Pipeline([("preparation", _preparation(model.recipe)), *_mixture_steps(model.parameters)])
    pipeline.segment_ids_ = np.array(model.segment_ids, dtype=np.int64)
    return pipeline


def _mixture_steps(parameters: MixtureParameters) -> list[Step]:
    """Return the mixture, behind a step that centres the rows where scikit-learn would lose digits otherwise.

    It expands (x - mean)², which costs about ε·(mean / standard deviation)² of a density.
    """
    deviations = np.sqrt(np.diagonal(parameters.matrices, axis1=1, axis2=2))
    if (np.abs(parameters.means) <= FAR * deviations).all():
        return [("mixture", _mixture(parameters))]
    centre = parameters.weights @ parameters.means
    scaler = StandardScaler(with_std=False)
    scaler.mean_, scaler.scale_, scaler.var_ = centre, None, None
    scaler.n_features_in_ = parameters.n_features
    return [("centre", scaler), ("mixture", _mixture(replace(parameters, means=parameters.means - centre)))]


def _mixture(parameters: MixtureParameters) -> SklearnMixture:
    mixture = SklearnMixture(parameters.n_components, covariance_type=parameters.structure.name)
    # scikit-learn takes the logarithm of a weight as it is; one of 0 would be -inf with a warning.
    mixture.weights_ = np.maximum(parameters.weights, SMALLEST_WEIGHT)
    mixture.means_ = np.array(parameters.means)
    mixture.covariances_ = np.array(parameters.covariances)
    mixture.precisions_cholesky_, mixture.precisions_ = precisions_of(parameters)
    mixture.converged_, mixture.n_iter_, mixture.lower_bound_ = True, 0, np.nan
    mixture.n_features_in_ = parameters.n_features
    return mixture


def _preparation(recipe: Recipe) -> ColumnTransformer:
    """Return the recipe as one pipeline a column, in the order of the prepared features."""
    used = [column for column in recipe.columns if not column.constant]
    transformers = [
        (f"column_{number}", Pipeline(_steps_of(column)), [column.name]) for number, column in enumerate(used)
    ]
    together = ColumnTransformer(transformers, verbose_feature_names_out=False, sparse_threshold=0.0)
    together.fit(_acceptable_row(recipe))
    for number, column in enumerate(used):
        if isinstance(column, NumericColumn):
            _set_scales(together.named_transformers_[f"column_{number}"], column)
    return together


@singledispatch
def _steps_of(column: object) -> list[Step]:
    """Return the steps of scikit-learn that do what a recipe does to a column."""
    raise InvalidInputError(
        f"scikit-learn has no steps for a {type(column).__name__}, so this model cannot be exported; score with gmmdask"
    )


@_steps_of.register
def _(column: NumericColumn) -> list[Step]:
    # Halves and whole numbers as float64 too, as a lake is read: scalers would compute in the type they are given.
    steps: list[Step] = [("number", _calling(np.asarray, dtype=np.float64))]
    if column.fill is not None:
        steps.append(("fill", SimpleImputer(strategy="constant", fill_value=column.fill)))
    if column.transform == "arcsinh":
        steps.append(("bulk", StandardScaler()))
        steps.append(("arcsinh", FunctionTransformer(np.arcsinh, np.sinh, feature_names_out="one-to-one")))
    elif column.transform != "none":
        raise InvalidInputError(
            f"scikit-learn has no step for transform {column.transform!r} of column {column.name!r}, so this model cannot "
            "be exported; score with gmmdask"
        )
    return [*steps, ("scale", StandardScaler())]


@_steps_of.register
def _(column: CategoryColumn) -> list[Step]:
    if column.fill is not None:
        complete = SimpleImputer(strategy="constant", fill_value=column.fill)
    else:
        complete = _calling(check_array, dtype=None)
    encoder = OneHotEncoder(
        categories=[np.array(column.categories, dtype=object)],
        handle_unknown="ignore" if column.unseen == "ignore" else "error",
        sparse_output=False,
    )
    return [*_text_steps(column), ("complete", complete), ("indicators", encoder)]


def _text_steps(column: CategoryColumn) -> Iterator[Step]:
    """Yield the steps that write whole numbers and booleans as a lake does, and every missing value as NaN."""
    if {*column.categories} <= {"true", "false"}:
        yield "booleans", _calling(pd.DataFrame.replace, to_replace=[True, False], value=["true", "false"])
    yield "whole numbers", _calling(pd.DataFrame.convert_dtypes)  # which are floats where a cell is missing
    yield "text", _calling(pd.DataFrame.astype, dtype="string")
    yield "missing", _calling(pd.DataFrame.to_numpy, dtype=object, na_value=np.nan)


def _calling(function: Callable[..., Any], **arguments: Any) -> FunctionTransformer:
    return FunctionTransformer(function, kw_args=arguments, feature_names_out="one-to-one")


def _acceptable_row(recipe: Recipe) -> pd.DataFrame:
    """Return a raw row that no step refuses, so that scikit-learn sets up what it needs to know of names and shapes."""
    return pd.DataFrame(
        {
            column.name: [0.0] if isinstance(column, NumericColumn) else np.array(column.categories[:1], dtype=object)
            for column in recipe.columns
        }
    )


def _set_scales(fitted: Pipeline, column: NumericColumn) -> None:
    _set_scale(fitted.named_steps["scale"], column.centre, column.scale)
    if "bulk" in fitted.named_steps:
        _set_scale(fitted.named_steps["bulk"], column.middle, column.spread)


def _set_scale(scaler: StandardScaler, centre: float, scale: float) -> None:
    one: NDArray[np.float64] = np.array([scale])
    scaler.mean_, scaler.scale_, scaler.var_ = np.array([centre]), one, one**2
