"""Nights as their champion sees them: observed in one pass, kept beside its bundle, read back without a pass.

What is kept is a convenience: an observation that is gone or damaged, or of files that have changed, is made again from
the lake.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date

from gmmdask.engine import Engine
from gmmdask.engine.dates import by_date
from gmmdask.errors import EmptyDataError, InvalidInputError, StorageError
from gmmdask.lake import Lake
from gmmdask.lake.fingerprint import digest
from gmmdask.monitoring import Champion, FeatureBins
from gmmdask.monitoring.observation import Observation, Observer, observe_leaf
from gmmdask.nightly.model import bundle_uri
from gmmdask.nightly.plan import only
from gmmdask.registry import Bundle, Part, load_bundle, save_bundle
from gmmdask.scoring import SegmentModel
from gmmdask.settings import Settings

KIND = "observation"
DIGITS = 16


def observer_of(segments: SegmentModel, bins: FeatureBins, settings: Settings) -> Observer:
    """Return what observes leaves for a model."""
    return Observer(
        recipe=segments.recipe,
        champion=Champion(
            parameters=segments.parameters, reference=segments.reference, reg_covar=settings.grid.reg_covar
        ),
        bins=bins,
        id_column=settings.source.id,
        seed=settings.grid.seed,
        weight_column=settings.source.weight,
    )


def observe_dates(lake: Lake, engine: Engine, observer: Observer) -> dict[date, Observation]:
    """Read a lake once and return what every date of it says; a date without a row says nothing."""
    source = replace(lake, weight_column=None).carry(*observer.carried)
    try:
        found = engine.map_reduce(source, *by_date(source, observe_leaf, (observer,)), name="observe")
    except EmptyDataError:
        return {}
    return {date.fromisoformat(text): observation for text, observation in found.summaries.items()}


def observed(
    lake: Lake,
    dates: Sequence[date],
    engine: Engine,
    observer: Observer,
    model_id: str,
    settings: Settings,
) -> dict[date, Observation]:
    """Return what some dates say, reading only those of which nothing is kept; these are kept from then on.

    Parameters
    ----------
    lake : Lake
        Holds at least these dates.
    dates : sequence of datetime.date
    engine : Engine
    observer : Observer
        Of the model.
    model_id : str
    settings : Settings
    """
    found = {dt: kept for dt in dates if (kept := _kept(lake, dt, observer, model_id, settings)) is not None}
    if absent := [dt for dt in dates if dt not in found]:
        made = observe_dates(only(lake, absent), engine, observer)
        for dt, observation in made.items():
            keep_observation(lake, dt, observation, model_id, settings)
        found |= made
    return {dt: found[dt] for dt in dates if dt in found}


def keep_observation(lake: Lake, dt: date, observation: Observation, model_id: str, settings: Settings) -> None:
    """Keep what a date says beside the model's bundle; one that is kept already and whole is left alone."""
    arrays, facts = observation.to_parts()
    bundle = Bundle(kind=KIND, parts={"observation": Part(arrays=arrays, document=facts)})
    # Another machine's last bits may differ, and the first to write is as good as the second.
    with suppress(InvalidInputError):
        save_bundle(
            bundle,
            _uri(lake, dt, model_id, settings),
            storage_options=settings.registry.storage_options,
            replace_damaged=True,
        )


def _kept(lake: Lake, dt: date, observer: Observer, model_id: str, settings: Settings) -> Observation | None:
    with suppress(StorageError, InvalidInputError):
        uri = _uri(lake, dt, model_id, settings)
        part = load_bundle(uri, storage_options=settings.registry.storage_options).part("observation")
        found = Observation.from_parts(observer.champion, part.arrays, part.document)
        return found if found.features.bins == observer.bins.fingerprint else None
    return None


def _uri(lake: Lake, dt: date, model_id: str, settings: Settings) -> str:
    files: Mapping[str, str] = {file.path: file.fingerprint for file in lake.files if file.date == dt.isoformat()}
    name = digest(KIND, *(f"{path} {files[path]}" for path in sorted(files)))[:DIGITS]
    return f"{bundle_uri(settings, model_id)}/nights/{dt}-{name}"
