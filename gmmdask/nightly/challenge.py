"""A challenger: trained because a verdict called for it, compared with the champion, promoted only if it is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from gmmdask.engine import Engine
from gmmdask.errors import DegenerateMixtureError, InvalidInputError, NoSoundCandidateError
from gmmdask.lake import HeldOutRows
from gmmdask.monitoring.gate import Contender, GateDecision, decide
from gmmdask.nightly.model import NightModel, save_night_model
from gmmdask.nightly.plan import NightPlan, only
from gmmdask.nightly.train import Training, train_anew, warm_start
from gmmdask.nightly.watch import Watched
from gmmdask.scoring.compare import PairedScores, compare_models
from gmmdask.settings import Settings
from gmmdask.training.results import Progress
from gmmdask.warehouse.port import pass_by

Action = Literal["warm-start", "refit"]

UNFIT_DATA = (InvalidInputError, DegenerateMixtureError, NoSoundCandidateError)
"""What a training says of data that nothing can be learned from; a sound champion labels the night all the same."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Challenge:
    """What became of a verdict that called for training.

    Parameters
    ----------
    action : {"warm-start", "refit"}
    decision : GateDecision
    training : Training, optional
        The challenger's; None where the data let none be trained.
    scores : PairedScores, optional
        Both models on the window's held-out rows.
    """

    action: Action
    decision: GateDecision
    training: Training | None = None
    scores: PairedScores | None = None


def challenge_champion(
    plan: NightPlan,
    settings: Settings,
    engine: Engine,
    watched: Watched,
    progress: Progress | None = None,
    *,
    at: Callable[[str], None] = pass_by,
) -> Challenge:
    """Train what the verdict calls for and let the gate decide; keeps the challenger in the registry, won or lost.

    Where the nights differ since a date, training and comparison begin with it: what was before is no guide. Else training
    begins where the champion's began. The dates on which a feature came in another unit are left out.

    Parameters
    ----------
    plan : NightPlan
    settings : Settings
    engine : Engine
    watched : Watched
        Its verdict is warm-start or refit.
    progress, at
        As `train_model`.
    """
    champion = watched.champion
    action: Action = "refit" if watched.verdict.decision == "refit" else "warm-start"
    fit = _training_plan(plan, watched)
    if not fit.training_lake.files:
        return _untried(action, "in every night of the training window a feature came in another unit")
    try:
        train = train_anew if action == "refit" else warm_start
        training = train(fit, settings, engine, champion, progress, at=at)
    except UNFIT_DATA as error:
        return _untried(action, f"Nothing could be trained: {str(error).rstrip('.')}")
    at("challenger trained")
    save_night_model(settings, training.model, at=at)
    judged = (text for text in watched.verdict.window if text >= watched.verdict.since)
    window = only(plan.lake, map(date.fromisoformat, judged))
    rows = HeldOutRows(lake=window, id_column=settings.source.id, seed=settings.grid.seed)
    scores = compare_models(rows, engine, champion.segments, training.model.segments)
    at("compared")
    decision = decide(_contender(champion), _contender(training.model), scores.difference, scores.n_rows)
    return Challenge(action=action, decision=decision, training=training, scores=scores)


def _training_plan(plan: NightPlan, watched: Watched) -> NightPlan:
    """Return the plan with the dates that the challenger trains on."""
    verdict = watched.verdict
    since = verdict.since or watched.champion.provenance["dates"][0]
    return replace(
        plan,
        train_since=max(plan.train_since, date.fromisoformat(since)),
        unfit=tuple(date.fromisoformat(text) for text in verdict.left_out),
    )


def _untried(action: Action, reason: str) -> Challenge:
    return Challenge(action=action, decision=GateDecision(is_promoted=False, required=0.0, reason=reason))


def _contender(model: NightModel) -> Contender:
    parameters = model.segments.parameters
    return Contender(
        n_components=parameters.n_components,
        structure=parameters.structure.name,
        objection=str(model.provenance.get("objection") or ""),
    )
