"""Fitted models on storage: `save_model` and `load_model`, and how a mixture becomes a part of a bundle and back.

The bundle's files and its safety are `gmmdask.registry`'s.
"""

from __future__ import annotations

from os import PathLike, fspath
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from gmmdask.errors import InvalidInputError
from gmmdask.estimator import GaussianMixture
from gmmdask.mixture.em import FitState
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.stack import Reference
from gmmdask.mixture.structures import structure_named
from gmmdask.registry import Bundle, Part, load_bundle, save_bundle
from gmmdask.training.plain import PlainFit

KIND = "mixture"
NIGHT_KIND = "night"
SCALARS = (
    "covariance_type",
    "init_params",
    "max_iter",
    "missing",
    "n_components",
    "n_init",
    "reg_covar",
    "tol",
    "verbose",
    "verbose_interval",
    "warm_start",
    "weight_type",
)
INITIAL = ("weights_init", "means_init", "precisions_init")


def save_model(model: GaussianMixture, uri: str | PathLike[str]) -> str:
    """Store a fitted mixture as an immutable bundle and return the bundle's fingerprint.

    Kept are the parameters, what the fit reported, and the settings. A `random_state` that is not an integer, and the
    client, are not.

    Parameters
    ----------
    model : GaussianMixture
    uri : str
        A folder on any filesystem that fsspec knows: a local path, `s3://`, ...

    Raises
    ------
    NotFittedError
        The model is not fitted.
    InvalidInputError
        Another model is there already.
    StorageError
        The place cannot be reached or written.
    """
    return save_bundle(model_to_bundle(model), fspath(uri))


def load_model(uri: str | PathLike[str]) -> GaussianMixture:
    """Return a mixture that `save_model` stored; it predicts the same bits. Cannot execute code.

    Raises
    ------
    StorageError
        There is no model.
    InvalidInputError
        The bundle was damaged or changed, or holds something else, such as the model of a night.
    """
    return model_of_bundle(load_bundle(fspath(uri)))


def parameters_to_part(parameters: MixtureParameters) -> Part:
    """Return a mixture as arrays and JSON."""
    arrays = {"weights": parameters.weights, "means": parameters.means, "covariances": parameters.covariances}
    return Part(arrays=arrays, document={"structure": parameters.structure.name})


def parameters_of_part(part: Part) -> MixtureParameters:
    """Return the mixture that `parameters_to_part` wrote."""
    return MixtureParameters(structure=structure_named(part.document["structure"]), **part.arrays)


def reference_to_part(reference: Reference) -> Part:
    """Return a reference as arrays."""
    return Part(arrays={"centre": reference.centre, "scale": reference.scale})


def reference_of_part(part: Part) -> Reference:
    """Return the reference that `reference_to_part` wrote."""
    return Reference(**part.arrays)


def model_to_bundle(model: GaussianMixture) -> Bundle:
    """Return a fitted mixture as a bundle.

    Raises
    ------
    NotFittedError
        The model is not fitted.
    """
    check_is_fitted(model)
    parameters = model._parameters()
    trace = model.lower_bounds_ or [model.lower_bound_]
    names = getattr(model, "feature_names_in_", None)
    facts = {
        "converged": bool(model.converged_),
        "n_iter": int(model.n_iter_),
        "feature_names": None if names is None else [str(name) for name in names],
    }
    parts = {
        "parameters": parameters_to_part(parameters),
        "reference": reference_to_part(model._scored_about(parameters)),
        "fit": Part(arrays={"trace": np.asarray(trace, dtype=np.float64)}, document=facts),
        "settings": _settings(model),
    }
    return Bundle(kind=KIND, parts=parts)


def model_of_bundle(bundle: Bundle) -> GaussianMixture:
    """Return the mixture that `model_to_bundle` wrote.

    Raises
    ------
    InvalidInputError
        The bundle holds something else.
    """
    if bundle.kind == NIGHT_KIND:
        raise InvalidInputError(
            "This is the model of a night, which also has a recipe and segments; `gmmdask export SETTINGS.toml FILE.joblib "
            "--model ID` writes it as a scikit-learn pipeline (its id is the last part of the address)."
        )
    if bundle.kind != KIND:
        raise InvalidInputError(f"The bundle holds a {bundle.kind!r}, not a {KIND!r}.")
    settings, fit = bundle.part("settings"), bundle.part("fit")
    given: dict[str, Any] = {**settings.document, **settings.arrays}
    model = GaussianMixture(**given)
    state = FitState(
        parameters=parameters_of_part(bundle.part("parameters")),
        iteration=fit.document["n_iter"],
        trace=tuple(fit.arrays["trace"].tolist()),
        status="converged" if fit.document["converged"] else "exhausted",
    )
    model._take(PlainFit(state=state, reference=reference_of_part(bundle.part("reference"))))
    model.n_features_in_ = state.parameters.n_features
    if fit.document["feature_names"] is not None:
        model.feature_names_in_ = np.array(fit.document["feature_names"], dtype=object)
    return model


def _settings(model: GaussianMixture) -> Part:
    given: dict[str, Any] = model.get_params(deep=False)
    seed = given["random_state"]
    document = {name: _plain(given[name]) for name in SCALARS}
    document["random_state"] = int(seed) if isinstance(seed, int | np.integer) else None
    arrays = {name: np.asarray(given[name], dtype=np.float64) for name in INITIAL if given[name] is not None}
    return Part(arrays=arrays, document=document)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
