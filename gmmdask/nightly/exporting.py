"""The model of a segmentation as a file for plain scikit-learn: which model, where to."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import date
from pathlib import Path

import joblib

from gmmdask.errors import StorageError, UnknownNameError
from gmmdask.nightly.model import load_night_model
from gmmdask.nightly.plan import warehouse_of
from gmmdask.settings import Settings


def export_night_model(settings: Settings, path: Path, model_id: str | None = None) -> str:
    """Write a model of the segmentation as a scikit-learn pipeline, with joblib, and return the model's id.

    Readers of the file see the old one or the new one, never a part.

    Parameters
    ----------
    settings : Settings
    path : Path
        A file on this machine; its folder is made.
    model_id : str, optional
        By default the champion.

    Raises
    ------
    UnknownNameError
        No model is in force yet.
    StorageError
        The model is not in the registry, or the file cannot be written.
    InvalidInputError
        scikit-learn cannot express the model.
    """
    from gmmdask.models import export_pipeline  # brings scikit-learn, which nights that keep their champion do without

    chosen = model_id or _champion(settings)
    pipeline = export_pipeline(load_night_model(settings, chosen).segments)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:  # a name would let joblib choose a compression by its ending
            joblib.dump(pipeline, file)
        unfinished.replace(path)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise StorageError(f"model {chosen} cannot be written to {path}: {error}") from error
    return chosen


def _champion(settings: Settings) -> str:
    name = settings.segmentation.name
    champion = warehouse_of(settings).champion_before(name, date.max)
    if champion is None:
        raise UnknownNameError(
            f"no model of segmentation {name!r} is in force yet; run a night first, or name one by --model"
        )
    return champion
