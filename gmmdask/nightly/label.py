"""Give every row of some dates the segment that a model says, into staging, and refuse ids that cannot be published."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date

from gmmdask.engine import Engine
from gmmdask.errors import WarehouseBusyError
from gmmdask.monitoring.observation import Observer
from gmmdask.nightly.model import NightModel
from gmmdask.nightly.observing import observer_of
from gmmdask.nightly.plan import NightPlan, warehouse_of
from gmmdask.scoring import PartitionScores, ScoringTask, SegmentSums, combine_sums, score_source
from gmmdask.settings import Settings
from gmmdask.training.results import Progress
from gmmdask.warehouse import Attempt, Limits, Publication, Release, StagedRows
from gmmdask.warehouse.checks import check_staged
from gmmdask.warehouse.tables import CHAMPION_KINDS


@dataclass(frozen=True, kw_only=True, eq=False)
class Labelled:
    """The rows of the run's dates with the labels of one model, in staging."""

    attempt: Attempt
    scores: list[PartitionScores]
    sums: SegmentSums
    seconds: float


def label_rows(
    plan: NightPlan,
    settings: Settings,
    model: NightModel,
    place: tuple[Engine, Attempt],
    progress: Progress | None,
    at: Callable[[str], None],
) -> Labelled:
    """Label the rows of a run's dates into an attempt.

    Raises
    ------
    InvalidInputError
        Ids are missing or repeated; names them.
    GmmdaskError
        As `Engine.map`.
    """
    engine, attempt = place
    at("begun")
    began = time.perf_counter()
    if progress is not None:
        progress("score", 0, 1, f"{len(plan.published_lake.files)} partitions")
    scores = _score(plan, settings, model, engine, attempt)
    at("scored")
    _check_ids(attempt, publications_of(plan, settings, model), scores, settings)
    at("ids checked")
    sums = combine_sums((score.sums for score in scores), SegmentSums.empty(model.segments, counted(settings)))
    if progress is not None:
        progress("score", 1, 1, f"{int(sums.statuses.sum()):,} rows, {sums.n_scored:,} with a segment")
    return Labelled(attempt=attempt, scores=scores, sums=sums, seconds=time.perf_counter() - began)


def _score(
    plan: NightPlan, settings: Settings, model: NightModel, engine: Engine, attempt: Attempt
) -> list[PartitionScores]:
    lake = plan.published_lake
    observer = _observer(plan, settings, model)
    task = ScoringTask(
        model=model.segments,
        attempt=attempt,
        dates=tuple(date.fromisoformat(file.date) for file in lake.files),
        id_column=settings.source.id,
        describe=counted(settings),
        observe=observer,
    )
    carried = (settings.source.id, *counted(settings), *(observer.carried if observer else ()))
    # The weight decides nothing here, and a bad one must not keep a row from its segment.
    return score_source(replace(lake, weight_column=None).carry(*carried), engine, task)


def _observer(plan: NightPlan, settings: Settings, model: NightModel) -> Observer | None:
    """Return what observes the rows while they are labelled: in a night that may keep its champion."""
    is_judged = plan.kind == "night" and model.model_id == plan.champion_id and settings.drift.action != "off"
    if not is_judged or model.watch is None:
        return None
    return observer_of(model.segments, model.watch.profile.bins, settings)


def counted(settings: Settings) -> tuple[str, ...]:
    """Return the columns whose values are counted per segment: described ones, and those clustered as categories."""
    return (*settings.describe, *settings.preparation.one_hot)


def publications_of(plan: NightPlan, settings: Settings, model: NightModel) -> list[Publication]:
    """Return one publication per date. A night's, and a change of champion, say which is in force from then on."""
    lake = plan.published_lake
    model_id = model.model_id
    published = []
    for text in lake.dates:
        dt = date.fromisoformat(text)
        kind = "rescore" if plan.kind == "night" and dt != plan.dt else plan.kind
        champion = model_id if kind in CHAMPION_KINDS else None
        name = settings.segmentation.name
        published.append(
            Publication(
                segmentation=name, kind=kind, dt=dt, model_id=model_id, run_id=plan.run_id, champion_id=champion
            )
        )
    return published


def _check_ids(
    attempt: Attempt, publications: Sequence[Publication], scores: Sequence[PartitionScores], settings: Settings
) -> None:
    """Refuse repeated ids before anything is kept."""
    staged = StagedRows(
        filesystem=attempt.filesystem,
        paths=tuple(f"{attempt.folder}/{score.receipt.path}" for score in scores),
        rows=sum(score.receipt.rows for score in scores),
    )
    release = Release(publications=tuple(publications), staged=staged, entity=settings.segmentation.entity)
    check_staged(staged, release, Limits(memory_limit=settings.warehouse.memory), attempt.folder)
    with suppress(WarehouseBusyError):  # publishing looks again
        warehouse_of(settings, patience=0).check(release)
