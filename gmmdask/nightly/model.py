"""The model of a night as one value: what labels rows, and where it came from; kept in the registry by its id."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmmdask.engine.fingerprint import numeric_fingerprint
from gmmdask.errors import InvalidInputError
from gmmdask.mixture.alignment import Alignment, Descent
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.stack import Reference
from gmmdask.mixture.structures import structure_named
from gmmdask.monitoring import NullDistribution, ReferenceProfile
from gmmdask.preparation.recipe import Recipe
from gmmdask.registry import Bundle, Part, load_bundle, save_bundle
from gmmdask.scoring import SegmentModel
from gmmdask.settings import Settings
from gmmdask.warehouse.port import pass_by

PACKAGES = ("gmmdask", "numpy", "scipy", "numba", "pyarrow", "scikit-learn", "dask", "duckdb")
MODEL_ID_DIGITS = 16
KIND = "night"


@dataclass(frozen=True, kw_only=True, eq=False)
class Watch:
    """What later nights are judged by: how the nights of the training range differ from each other.

    Parameters
    ----------
    null : NullDistribution
        Of the gain that a retraining step would bring.
    profile : ReferenceProfile
        Of the features one by one.
    """

    null: NullDistribution
    profile: ReferenceProfile

    def joined(self, earlier: Watch) -> Watch:
        """Return the watch of a model that continues another one: what was ordinary and usual to that one still is."""
        return Watch(null=self.null.joined(earlier.null), profile=self.profile.joined(earlier.profile))


@dataclass(frozen=True, kw_only=True, eq=False)
class NightModel:
    """What labels rows, and where it came from.

    Parameters
    ----------
    segments : SegmentModel
    provenance : mapping
        JSON-able: run, settings, manifest fingerprint, rows. Decides no label.
    sample : ndarray of shape (n_features, n_rows)
        Raw rows drawn evenly from those trained on: what a report draws. Decides no label.
    watch : Watch, optional
        None where drift is not watched.
    alignment : Alignment, optional
        What became of the segments of the champion before; None in a first model.
    """

    segments: SegmentModel
    provenance: Mapping[str, Any]
    sample: NDArray[np.float64]
    watch: Watch | None = None
    alignment: Alignment | None = None

    @cached_property
    def model_id(self) -> str:
        """Hash of everything that the model is and came from."""
        hashed = blake2b(digest_size=MODEL_ID_DIGITS // 2)
        for name, part in sorted(self.to_bundle().parts.items()):
            hashed.update(f"{name} {json.dumps(part.document, sort_keys=True)}".encode())
            for key, array in sorted(part.arrays.items()):
                hashed.update(f"{key} {array.shape}".encode() + array.astype("<f8").tobytes())
        return hashed.hexdigest()

    def to_bundle(self) -> Bundle:
        """Return the parts from which `from_bundle` makes an equal model."""
        segments, parameters = self.segments, self.segments.parameters
        recipe_arrays, recipe_facts = segments.recipe.to_parts()
        mixture = {"weights": parameters.weights, "means": parameters.means, "covariances": parameters.covariances}
        reference = {"centre": segments.reference.centre, "scale": segments.reference.scale}
        labels = {"segment_ids": list(segments.segment_ids), "anomaly_threshold": segments.anomaly_threshold}
        parts = {
            "recipe": Part(arrays=recipe_arrays, document=recipe_facts),
            "mixture": Part(arrays=mixture, document={"structure": parameters.structure.name}),
            "reference": Part(arrays=reference),
            "segments": Part(document=labels),
            "provenance": Part(document=self.provenance),
            "sample": Part(arrays={"values": self.sample}),
            **_watch_parts(self.watch),
            **_alignment_parts(self.alignment),
        }
        return Bundle(kind=KIND, parts=parts)

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> NightModel:
        """Make a model from stored parts.

        Raises
        ------
        InvalidInputError
            They are not those of a night's model, or come from another version.
        """
        if bundle.kind != KIND:
            raise InvalidInputError(f"a night needs a bundle of kind {KIND!r}, and this one is of kind {bundle.kind!r}")
        recipe, mixture, reference = (bundle.part(name) for name in ("recipe", "mixture", "reference"))
        labels = bundle.part("segments").document
        segments = SegmentModel(
            recipe=Recipe.from_parts(recipe.arrays, recipe.document),
            parameters=MixtureParameters(
                structure=structure_named(mixture.document["structure"]),
                weights=mixture.arrays["weights"],
                means=mixture.arrays["means"],
                covariances=mixture.arrays["covariances"],
            ),
            reference=Reference(centre=reference.arrays["centre"], scale=reference.arrays["scale"]),
            segment_ids=tuple(labels["segment_ids"]),
            anomaly_threshold=labels["anomaly_threshold"],
        )
        return cls(
            segments=segments,
            provenance=bundle.part("provenance").document,
            sample=bundle.part("sample").arrays["values"],
            watch=_watch_of(bundle),
            alignment=_alignment_of(bundle),
        )


def _watch_parts(watch: Watch | None) -> dict[str, Part]:
    if watch is None:
        return {}
    values = {"null": watch.null.to_parts(), "profile": watch.profile.to_parts()}
    return {name: Part(arrays=arrays, document=facts) for name, (arrays, facts) in values.items()}


def _watch_of(bundle: Bundle) -> Watch | None:
    if "null" not in bundle.parts:
        return None
    null, profile = bundle.part("null"), bundle.part("profile")
    return Watch(
        null=NullDistribution.from_parts(null.arrays, null.document),
        profile=ReferenceProfile.from_parts(profile.arrays, profile.document),
    )


def _alignment_parts(alignment: Alignment | None) -> dict[str, Part]:
    if alignment is None:
        return {}
    facts = {"old_ids": list(alignment.old_ids), "descents": [asdict(descent) for descent in alignment.descents]}
    return {"alignment": Part(arrays={"flow": alignment.flow}, document=facts)}


def _alignment_of(bundle: Bundle) -> Alignment | None:
    if "alignment" not in bundle.parts:
        return None
    part = bundle.part("alignment")
    descents = (Descent(**{**row, "predecessors": tuple(row["predecessors"])}) for row in part.document["descents"])
    return Alignment(old_ids=tuple(part.document["old_ids"]), descents=tuple(descents), flow=part.arrays["flow"])


def save_night_model(settings: Settings, model: NightModel, *, at: Callable[[str], None] = pass_by) -> None:
    """Keep a model in the registry under its id; one that is there already and whole is left alone.

    Raises
    ------
    StorageError
        The registry cannot be reached or written.
    """
    save_bundle(
        model.to_bundle(),
        bundle_uri(settings, model.model_id),
        storage_options=settings.registry.storage_options,
        at=at,
    )


def load_night_model(settings: Settings, model_id: str) -> NightModel:
    """Return a model out of the registry.

    Raises
    ------
    StorageError
        It is not there, or the registry cannot be reached.
    InvalidInputError
        It was changed since it was saved, or is not the model of this id.
    """
    uri = bundle_uri(settings, model_id)
    bundle = load_bundle(uri, storage_options=settings.registry.storage_options)
    try:
        model = NightModel.from_bundle(bundle)
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidInputError(
            f"{uri} is whole and holds no model that this gmmdask can read ({type(error).__name__}: {error}); install the "
            "version that wrote it, or train again"
        ) from error
    if model.model_id != model_id:
        raise InvalidInputError(f"{uri} holds model {model.model_id} where {model_id} should be; restore it")
    return model


def bundle_uri(settings: Settings, model_id: str) -> str:
    """Return where a model is kept."""
    return f"{settings.registry.uri.rstrip('/')}/{settings.segmentation.name}/{model_id}"


def versions() -> dict[str, str]:
    """Return the versions of gmmdask and of what it computes with."""
    return {name: _version(name) for name in PACKAGES}


def fingerprint() -> str:
    """Return what kind of machine this is, as far as bits are concerned."""
    return numeric_fingerprint().digest


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
