"""The model of a segmentation as a file for plain scikit-learn: which model, where to."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import joblib

from gmmdask.errors import UnknownNameError
from gmmdask.nightly.champions import find_model
from gmmdask.nightly.model import load_night_model
from gmmdask.nightly.plan import warehouse_of
from gmmdask.settings import Settings
from gmmdask.storage import created, has_folders, open_storage, reaching


def export_night_model(settings: Settings, path: str | Path, model_id: str | None = None) -> str:
    """Write a model of the segmentation as a scikit-learn pipeline, with joblib, and return the model's id.

    Readers of the file see the old one or the new one, never a part.

    Parameters
    ----------
    settings : Settings
    path : str or Path
        A file on this machine, whose folder is made, or an address, opened with the storage options of the registry.
    model_id : str, optional
        The beginning of its id, or champion, or previous; by default the champion.

    Raises
    ------
    UnknownNameError
        No model is in force yet, or none is called so.
    StorageError
        The model is not in the registry, or the file cannot be written.
    InvalidInputError
        scikit-learn cannot express the model.
    """
    from gmmdask.models import export_pipeline  # brings scikit-learn, which nights that keep their champion do without

    chosen = _champion(settings) if model_id is None else find_model(settings, model_id)
    pipeline = export_pipeline(load_night_model(settings, chosen).segments)
    uri = str(path)
    options = settings.registry.storage_options if "://" in uri else {}
    filesystem, place = open_storage(uri, options)
    with reaching(uri, options, f"model {chosen} cannot be written: "):
        if has_folders(filesystem):
            filesystem.makedirs(place.rpartition("/")[0], exist_ok=True)
        with created(filesystem, place) as file:  # a name would let joblib choose a compression by its ending
            joblib.dump(pipeline, file)
    return chosen


def _champion(settings: Settings) -> str:
    name = settings.segmentation.name
    champion = warehouse_of(settings).champion_before(name, date.max)
    if champion is None:
        raise UnknownNameError(
            f"no model of segmentation {name!r} is in force yet; run a night first, or name one by --model"
        )
    return champion
