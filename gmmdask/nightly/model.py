"""The model of a night as one value: what labels rows, and where it came from; kept in the registry by its id."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import fsspec
import numpy as np
from numpy.typing import NDArray

from gmmdask.engine.fingerprint import numeric_fingerprint
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.stack import Reference
from gmmdask.mixture.structures import structure_named
from gmmdask.preparation.recipe import Recipe
from gmmdask.scoring import SegmentModel
from gmmdask.settings import Settings

PACKAGES = ("gmmdask", "numpy", "scipy", "numba", "pyarrow", "scikit-learn", "dask", "duckdb")
MODEL_ID_DIGITS = 16

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True, eq=False)
class NightModel:
    """What labels rows, and where it came from.

    Parameters
    ----------
    segments : SegmentModel
    provenance : mapping
        JSON-able: run, settings, manifest fingerprint, rows, versions. Decides nothing.
    """

    segments: SegmentModel
    provenance: Mapping[str, Any]

    @property
    def model_id(self) -> str:
        """Hash of everything that decides the labels."""
        arrays, facts = self.to_parts()
        hashed = blake2b(json.dumps(facts["model"], sort_keys=True).encode(), digest_size=MODEL_ID_DIGITS // 2)
        for name in sorted(arrays):
            hashed.update(arrays[name].astype("<f8").tobytes())
        return hashed.hexdigest()

    def to_parts(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return arrays and JSON-able facts from which `from_parts` makes an equal model."""
        segments = self.segments
        recipe_arrays, recipe_facts = segments.recipe.to_parts()
        arrays = {
            **{f"recipe.{name}": array for name, array in recipe_arrays.items()},
            "weights": segments.parameters.weights,
            "means": segments.parameters.means,
            "covariances": segments.parameters.covariances,
            "reference.centre": segments.reference.centre,
            "reference.scale": segments.reference.scale,
        }
        model = {
            "recipe": recipe_facts,
            "structure": segments.parameters.structure.name,
            "segment_ids": list(segments.segment_ids),
            "anomaly_threshold": segments.anomaly_threshold,
        }
        return arrays, {"model": model, "provenance": dict(self.provenance)}

    @classmethod
    def from_parts(cls, arrays: Arrays, facts: Mapping[str, Any]) -> NightModel:
        """Make a model from stored parts.

        Raises
        ------
        InvalidInputError
            They are not those of a model, or come from another version.
        """
        model = facts["model"]
        recipe = {name.removeprefix("recipe."): array for name, array in arrays.items() if name.startswith("recipe.")}
        segments = SegmentModel(
            recipe=Recipe.from_parts(recipe, model["recipe"]),
            parameters=MixtureParameters(
                structure=structure_named(model["structure"]),
                weights=arrays["weights"],
                means=arrays["means"],
                covariances=arrays["covariances"],
            ),
            reference=Reference(centre=arrays["reference.centre"], scale=arrays["reference.scale"]),
            segment_ids=tuple(model["segment_ids"]),
            anomaly_threshold=model["anomaly_threshold"],
        )
        return cls(segments=segments, provenance=facts["provenance"])


def save_night_model(settings: Settings, model: NightModel) -> None:
    """Keep a model in the registry under its id; one that is there already stays as it is."""
    arrays, facts = model.to_parts()
    filesystem, folder = fsspec.url_to_fs(settings.registry.uri, **settings.registry.storage_options)
    filesystem.makedirs(folder, exist_ok=True)
    buffer = io.BytesIO()
    np.savez(buffer, facts=np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8), **arrays)
    filesystem.pipe_file(f"{folder}/{model.model_id}.npz", buffer.getvalue())


def load_night_model(settings: Settings, model_id: str) -> NightModel:
    """Return a model out of the registry."""
    filesystem, folder = fsspec.url_to_fs(settings.registry.uri, **settings.registry.storage_options)
    parts = dict(np.load(io.BytesIO(filesystem.cat_file(f"{folder}/{model_id}.npz")), allow_pickle=False))
    facts = json.loads(parts.pop("facts").tobytes())
    return NightModel.from_parts(parts, facts)


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
