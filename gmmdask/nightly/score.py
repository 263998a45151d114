"""Score and stage: after this step everything of the night is on disk, complete, and waits to be published."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date

from gmmdask.engine import Engine
from gmmdask.errors import WarehouseBusyError, WarehouseError
from gmmdask.nightly.model import save_night_model
from gmmdask.nightly.plan import CHAMPION_CHANGES, NightPlan, staging_of, utc_now, warehouse_of
from gmmdask.nightly.tables import night_tables, run_row
from gmmdask.nightly.train import Training
from gmmdask.scoring import PartitionScores, ScoringTask, SegmentSums, combine_sums, score_source
from gmmdask.settings import Settings
from gmmdask.training.results import Progress
from gmmdask.warehouse import Attempt, Limits, Publication, Release, StagedRows
from gmmdask.warehouse.checks import check_staged
from gmmdask.warehouse.port import pass_by
from gmmdask.warehouse.tables import CHAMPION_KINDS


def score_night(
    plan: NightPlan,
    settings: Settings,
    training: Training,
    engine: Engine,
    progress: Progress | None = None,
    *,
    at: Callable[[str], None] = pass_by,
) -> None:
    """Label every row of the run's dates, keep the model, and stage all of it; a failure leaves nothing staged.

    Raises
    ------
    InvalidInputError
        Ids are missing or repeated; names them.
    WarehouseError
        Another process published the same run meanwhile.
    UnreadablePartitionError, SchemaError
        A file cannot be read; names it.
    """
    staging = staging_of(settings)
    attempt = staging.begin(plan.run_id)
    try:
        _stage(plan, settings, training, (engine, attempt), progress, at)
    except BaseException as error:
        staging.discard(attempt)
        if isinstance(error, Exception) and warehouse_of(settings).published_run(plan.run_key) is not None:
            raise WarehouseError(already_published(plan)) from error
        raise


def already_published(plan: NightPlan) -> str:
    """Return what the slower of two equal runs is told."""
    return (
        f"another process computed run {plan.run_id} of {plan.dt} at the same time and published it first; "
        "what this one computed is discarded, and there is nothing left to do"
    )


def _stage(
    plan: NightPlan,
    settings: Settings,
    training: Training,
    place: tuple[Engine, Attempt],
    progress: Progress | None,
    at: Callable[[str], None],
) -> None:
    engine, attempt = place
    at("begun")
    began = time.perf_counter()
    if progress is not None:
        progress("score", 0, 1, f"{len(plan.published_lake.files)} partitions")
    scores = _score(plan, settings, training, engine, attempt)
    at("scored")
    publications = publications_of(plan, settings, training)
    _check_ids(attempt, publications, scores, settings)
    at("ids checked")
    empty = SegmentSums.empty(training.model.segments, counted(settings))
    sums = combine_sums((score.sums for score in scores), empty)
    if progress is not None:
        progress("score", 1, 1, f"{int(sums.statuses.sum()):,} rows, {sums.n_scored:,} with a segment")
    timed = replace(training, seconds={**training.seconds, "score": time.perf_counter() - began})
    if training.grid is not None:
        save_night_model(settings, training.model, at=at)
    at("model saved")
    runs = [run_row(plan, settings, timed, sums, utc_now())]
    tables = {**night_tables(plan, settings, training, scores, sums), "runs": runs}
    # A change of champion publishes what its segments look like, and leaves the labels of the date as they are.
    receipts = [] if plan.kind in CHAMPION_CHANGES else [score.receipt for score in scores]
    attempt.finish(publications, receipts, tables, entity=settings.segmentation.entity, at=at)
    at("staged")


def _score(
    plan: NightPlan, settings: Settings, training: Training, engine: Engine, attempt: Attempt
) -> list[PartitionScores]:
    lake = plan.published_lake
    task = ScoringTask(
        model=training.model.segments,
        attempt=attempt,
        dates=tuple(date.fromisoformat(file.date) for file in lake.files),
        id_column=settings.source.id,
        describe=counted(settings),
    )
    # The weight decides nothing here, and a bad one must not keep a row from its segment.
    source = replace(lake, weight_column=None).carry(settings.source.id, *counted(settings))
    return score_source(source, engine, task)


def counted(settings: Settings) -> tuple[str, ...]:
    """Return the columns whose values are counted per segment: described ones, and those clustered as categories."""
    return (*settings.describe, *settings.preparation.one_hot)


def publications_of(plan: NightPlan, settings: Settings, training: Training) -> list[Publication]:
    """Return one publication per date. A night's, and a change of champion, say which is in force from then on."""
    lake = plan.published_lake
    model_id = training.model.model_id
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
