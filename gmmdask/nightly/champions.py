"""The models of a segmentation: which there are, how two differ, and which is in force, changed by hand.

A change of champion is a run like any other: staged, published in one transaction, killed and run again without harm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np

from gmmdask.errors import GmmdaskError, InvalidInputError, UnknownNameError
from gmmdask.nightly.engines import open_engine
from gmmdask.nightly.history import History, read_history
from gmmdask.nightly.model import NightModel, bundle_uri, load_night_model
from gmmdask.nightly.night import EngineOpener, Night, conclude_night, publish_before, run_plan
from gmmdask.nightly.plan import plan_promotion, warehouse_of
from gmmdask.nightly.segments import PATIENCE, at_once
from gmmdask.registry import list_bundles
from gmmdask.settings import Settings
from gmmdask.training.results import Progress
from gmmdask.warehouse import Publication
from gmmdask.warehouse.checks import overtaken
from gmmdask.warehouse.port import pass_by

State = Literal["champion", "former champion", "never in force"]


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownModel:
    """A model of the registry or of the history.

    Parameters
    ----------
    model_id : str
    state : {"champion", "former champion", "never in force"}
    since : datetime.date, optional
        The night's date when it last became champion.
    n_dates : int
        Dates whose labels are its own now.
    model : NightModel, optional
        None where the registry no longer has it as it was saved.
    trouble : str
        Why it cannot be had.
    """

    model_id: str
    state: State
    since: date | None
    n_dates: int
    model: NightModel | None
    trouble: str = ""

    @property
    def trained_on(self) -> str:
        """First and last date of its training, for people."""
        dates = self.model.provenance["dates"] if self.model else []
        return " to ".join(dict.fromkeys(dates))


def history_of(settings: Settings) -> History:
    """Return the nights of the segmentation, for somebody who waits; none where nothing was published yet.

    Raises
    ------
    WarehouseError
        The warehouse cannot be read, or others write to it just now.
    """
    with at_once():
        warehouse = warehouse_of(settings, min(PATIENCE, settings.warehouse.publish_timeout))
        return read_history(warehouse, settings.segmentation.name)


def list_models(settings: Settings) -> list[KnownModel]:
    """Return every model that the registry holds or that was once in force, the champion first, then the latest.

    Raises
    ------
    StorageError, WarehouseError
        Registry or warehouse cannot be reached.
    """
    history = history_of(settings)
    reigned = [reign.champion_id for reign in history.reigns]
    ids = dict.fromkeys([*reversed(reigned), *reversed(_kept(settings))])
    return [_known(settings, history, model_id) for model_id in ids]


def find_model(settings: Settings, name: str) -> str:
    """Return the id of the one model whose id begins with a name, or that is called champion or previous.

    Raises
    ------
    UnknownNameError
        There is none, or more than one.
    """
    history = history_of(settings)
    spoken = {"champion": history.champion, "previous": history.previous_champion}
    if found := spoken.get(name):
        return found
    ids = sorted({*_kept(settings), *(reign.champion_id for reign in history.reigns)})
    matching = [model_id for model_id in ids if name and model_id.startswith(name)]
    if len(matching) == 1:
        return matching[0]
    what = f"{len(matching)} models begin with" if matching else "there is no model"
    raise UnknownNameError(f"{what} {name!r} in {settings.segmentation.name!r}; known are {', '.join(ids) or 'none'}")


def find_known_model(settings: Settings, model_id: str) -> KnownModel:
    """Return a model with its place in the history; raises as `list_models`."""
    return _known(settings, history_of(settings), model_id)


def promote_model(
    settings: Settings,
    model_id: str,
    progress: Progress | None = None,
    *,
    engines: EngineOpener = open_engine,
    at: Callable[[str], None] = pass_by,
) -> Night:
    """Make a model the champion, from the night after the last on; a model that is it already is left alone.

    Labels stay as they are (`rescore_dates` changes them). The new champion's segments are described on the last night's
    date.

    Raises
    ------
    InvalidInputError
        The model was changed since it was saved, is of another segmentation or of other features, or was disqualified;
        or others published a night or another change meanwhile.
    StorageError
        The registry does not have it.
    WarehouseBusyError, GmmdaskError
        As `run_night`.
    """
    require_promotable(load_night_model(settings, model_id), settings, model_id)
    return _change(settings, model_id, "promote", progress, engines, at)


def rollback_champion(
    settings: Settings,
    progress: Progress | None = None,
    *,
    engines: EngineOpener = open_engine,
    at: Callable[[str], None] = pass_by,
) -> Night:
    """Make the previous champion the champion again; a second rollback takes the first one back.

    Raises
    ------
    InvalidInputError
        There was no other champion before, or it cannot be one any more, as `promote_model` says; or others published
        meanwhile.
    WarehouseBusyError, GmmdaskError
        As `run_night`.
    """
    previous = history_of(settings).previous_champion
    if previous is None:
        raise InvalidInputError(f"{settings.segmentation.name!r} never had another champion to go back to")
    require_promotable(load_night_model(settings, previous), settings, previous)
    return _change(settings, previous, "rollback", progress, engines, at)


def require_promotable(model: NightModel, settings: Settings, model_id: str) -> None:
    """Refuse a model that must not label this segmentation.

    Raises
    ------
    InvalidInputError
        Says why, and what to do.
    """
    home = model.provenance["segmentation"]
    if home != settings.segmentation.name:
        raise InvalidInputError(
            f"model {model_id} belongs to the segmentation {home!r}, not to {settings.segmentation.name!r}; its segments "
            "would be taken for others"
        )
    if objection := model.provenance.get("objection"):
        raise InvalidInputError(f"model {model_id} was disqualified ({objection}); train another with --refit")
    features = model.segments.recipe.features
    if features != settings.features:
        raise InvalidInputError(
            f"model {model_id} was trained on the features {', '.join(features)}, and the settings have "
            f"{', '.join(settings.features)}; change the settings first"
        )


def differences(old: NightModel, new: NightModel) -> list[str]:
    """Return in sentences what changed from one model to another: size, structure, segments, preparation."""
    before, after = old.segments, new.segments
    told = []
    shapes = [(m.parameters.structure.name, m.parameters.n_components) for m in (before, after)]
    if shapes[0] != shapes[1]:
        told.append(f"{_shape(*shapes[0])} became {_shape(*shapes[1])}")
    if before.recipe.features == after.recipe.features:
        told += _moved(before.segment_ids, after.segment_ids, old, new)
    told += [f"segment {one} is gone" for one in before.segment_ids if one not in after.segment_ids]
    told += [f"segment {one} is new" for one in after.segment_ids if one not in before.segment_ids]
    return told + before.recipe.diff(after.recipe)


def _moved(before: Sequence[int], after: Sequence[int], old: NightModel, new: NightModel) -> list[str]:
    recipe = old.segments.recipe
    numbers = [j for j, name in enumerate(recipe.features) if name not in recipe.category_features]
    if not numbers or not old.sample.size:
        return []
    spread = np.nanstd(old.sample[numbers], axis=1)
    told = []
    for segment_id in (one for one in before if one in after):
        i, j = before.index(segment_id), after.index(segment_id)
        weights = old.segments.parameters.weights[i], new.segments.parameters.weights[j]
        here, there = old.segments.centres[i][numbers], new.segments.centres[j][numbers]
        steps = (there - here) / np.where(spread > 0, spread, 1.0)
        most = int(np.argmax(np.abs(steps)))
        told.append(
            f"segment {segment_id}: weight {weights[0]:.1%} to {weights[1]:.1%}; moved most in "
            f"{recipe.features[numbers[most]]}, {here[most]:.4g} to {there[most]:.4g} ({steps[most]:+.2g} sd)"
        )
    return told


def _shape(structure: str, n_components: int) -> str:
    return f"{n_components} {structure} components"


def _change(
    settings: Settings,
    model_id: str,
    kind: Literal["promote", "rollback"],
    progress: Progress | None,
    engines: EngineOpener,
    at: Callable[[str], None],
) -> Night:
    publish_before(lambda own: plan_promotion(own, model_id, kind), settings, progress, at=at)
    plan = plan_promotion(settings, model_id, kind)
    if kind == "rollback" and plan.state != "published":
        _require_previous(settings, model_id)
    at("planned")
    return conclude_night(run_plan(plan, settings, progress, engines=engines, at=at), settings, at=at)


def _require_previous(settings: Settings, model_id: str) -> None:
    """Refuse to go back to what was the previous champion when it was asked for, and is no longer.

    What is published after the plan was made is found by the publication itself.
    """
    history = history_of(settings)
    if history.previous_champion != model_id:
        last = history.reigns[-1]
        change = Publication(
            segmentation=settings.segmentation.name,
            kind="rollback",
            dt=last.dt,
            model_id=model_id,
            champion_id=model_id,
        )
        raise InvalidInputError(overtaken(change, last.kind, last.dt, history.champion))


def _kept(settings: Settings) -> list[str]:
    folder = bundle_uri(settings, "").rstrip("/")
    return list_bundles(folder, storage_options=settings.registry.storage_options)


def _known(settings: Settings, history: History, model_id: str) -> KnownModel:
    model, trouble = None, ""
    try:
        model = load_night_model(settings, model_id)
    except GmmdaskError as error:
        trouble = str(error)
    since = _since(history, model_id)
    is_champion = history.champion == model_id
    return KnownModel(
        model_id=model_id,
        state="champion" if is_champion else "former champion" if since else "never in force",
        since=since,
        n_dates=sum(labelled_by == model_id for labelled_by in history.models.values()),
        model=model,
        trouble=trouble,
    )


def _since(history: History, model_id: str) -> date | None:
    """Return when a model last became champion: every night names its champion again, the first once for each date."""
    began = None
    former = None
    for reign in history.reigns:
        if reign.champion_id == model_id and former != model_id:
            began = reign.published_at
        former = reign.champion_id
    dates = [one.dt for one in history.reigns if one.champion_id == model_id and one.published_at == began]
    return max(dates, default=None)
