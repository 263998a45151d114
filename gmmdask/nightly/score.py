"""Score and stage: after this step everything of the night is on disk, complete, and waits to be published."""

from __future__ import annotations

from collections.abc import Callable

from gmmdask.engine import Engine
from gmmdask.engine.tree import pairwise
from gmmdask.errors import WarehouseError
from gmmdask.monitoring.observation import Observation
from gmmdask.nightly.challenge import challenge_champion
from gmmdask.nightly.history import read_history
from gmmdask.nightly.label import label_rows, publications_of
from gmmdask.nightly.model import save_night_model
from gmmdask.nightly.outcome import Outcome
from gmmdask.nightly.plan import NightPlan, staging_of, utc_now, warehouse_of
from gmmdask.nightly.tables import Ended, night_tables, run_row
from gmmdask.nightly.train import Training
from gmmdask.nightly.watch import watch_night
from gmmdask.settings import Settings
from gmmdask.training.results import Progress
from gmmdask.warehouse import Attempt
from gmmdask.warehouse.port import pass_by
from gmmdask.warehouse.tables import CHAMPION_CHANGES


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
    attempts: list[Attempt] = []
    try:
        _stage(plan, settings, training, (engine, attempts), progress, at)
    except BaseException as error:
        for attempt in attempts:
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
    place: tuple[Engine, list[Attempt]],
    progress: Progress | None,
    at: Callable[[str], None],
) -> None:
    engine, attempts = place
    attempts.append(staging_of(settings).begin(plan.run_id))
    labelled = label_rows(plan, settings, training.model, (engine, attempts[0]), progress, at)
    tonight = pairwise(score.observed for score in labelled.scores)
    outcome = Outcome(training=training)
    if tonight is not None:
        outcome = _judged(plan, settings, training, (engine, tonight), progress, at)
    if outcome.is_promoted:
        attempts.append(staging_of(settings).begin(plan.run_id))
        labelled = label_rows(plan, settings, outcome.training.model, (engine, attempts[1]), progress, at)
        staging_of(settings).discard(attempts[0])
    if outcome.trained is not None:
        save_night_model(settings, outcome.trained.model, at=at)
    at("model saved")
    tables = night_tables(plan, outcome, labelled.scores, labelled.sums)
    seconds = {**(outcome.trained or training).seconds, "score": labelled.seconds}
    runs = [run_row(plan, settings, outcome, labelled.sums, Ended(at=utc_now(), seconds=seconds))]
    publications = publications_of(plan, settings, outcome.training.model)
    # A change of champion publishes what its segments look like, and leaves the labels of the date as they are.
    receipts = [] if plan.kind in CHAMPION_CHANGES else [score.receipt for score in labelled.scores]
    entity = settings.segmentation.entity
    tables = {**tables, "runs": runs}
    labelled.attempt.finish(publications, receipts, tables, entity=entity, checked=True, at=at)
    at("staged")


def _judged(
    plan: NightPlan,
    settings: Settings,
    training: Training,
    observed: tuple[Engine, Observation],
    progress: Progress | None,
    at: Callable[[str], None],
) -> Outcome:
    """Look at what was observed while the champion labelled the night, and act on it as the settings say."""
    engine, tonight = observed
    history = read_history(warehouse_of(settings), settings.segmentation.name)
    watched = watch_night(plan, settings, engine, training.model, tonight, history)
    at("watched")
    if watched is None or watched.verdict.decision == "keep" or settings.drift.action != "act":
        return Outcome(training=training, watched=watched)
    challenge = challenge_champion(plan, settings, engine, watched, progress, at=at)
    wins = challenge.decision.is_promoted and challenge.training is not None
    labels = challenge.training if wins and challenge.training is not None else training
    return Outcome(training=labels, watched=watched, challenge=challenge)
