"""The small tables of a night: values of the steps as rows, in the columns of `gmmdask.warehouse.tables`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np

from gmmdask.nightly.drift_rows import drift_rows
from gmmdask.nightly.model import NightModel, fingerprint, versions
from gmmdask.nightly.outcome import Outcome
from gmmdask.nightly.plan import NightPlan
from gmmdask.nightly.reporting import report_uri
from gmmdask.nightly.train import Training
from gmmdask.nightly.untrained import untrained_note
from gmmdask.scoring import PartitionScores, SegmentSums, farthest
from gmmdask.settings import Settings
from gmmdask.training.results import Candidate, GridResult
from gmmdask.warehouse.tables import LABEL_KINDS

Row = dict[str, Any]
NO_ROWS = "No row came."
SMALLEST_PART = 0.01
"""Share of a segment's rows, from or to, from which on a succession is recorded."""

KEPT = {
    "night": "The champion {champion} was kept.",
    "repeat": "Labelled by {champion}, the champion in force before.",
    "rescore": "Labelled by {champion}, the present champion.",
    "promote": "{champion} was made the champion by hand.",
    "rollback": "{champion} was made the champion again.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """When a run's results were complete, and how many seconds each of its steps took."""

    at: datetime
    seconds: Mapping[str, float]


def night_tables(
    plan: NightPlan, outcome: Outcome, scores: Sequence[PartitionScores], sums: SegmentSums
) -> dict[str, list[Row]]:
    """Return the rows of every small table but `runs`.

    Parameters
    ----------
    plan : NightPlan
    outcome : Outcome
    scores : sequence of PartitionScores
        One per partition published.
    sums : SegmentSums
        Over all of them.
    """
    training, trained, watched = outcome.training, outcome.trained, outcome.watched
    return {
        "segments": segment_rows(training, sums),
        "segment_profiles": list(profile_rows(training, sums)),
        "outlying_rows": list(outlying_rows(scores)),
        "successions": list(succession_rows(training)),
        "grid": [] if trained is None or trained.grid is None else grid_rows(trained.grid),
        "drift": [] if watched is None else drift_rows(watched, plan.dt),
        "lineage": lineage_rows(plan, trained, scores),
    }


def segment_rows(training: Training, sums: SegmentSums) -> list[Row]:
    """Return one row per segment."""
    segments = training.model.segments
    has_threshold = segments.anomaly_threshold is not None
    rows = []
    for position, segment_id in enumerate(segments.segment_ids):
        size = int(sums.rows[position])
        rows.append(
            {
                "segment_id": segment_id,
                "position": position,
                "size": size,
                "share": size / max(sums.n_scored, 1),
                "weight": float(segments.parameters.weights[position]),
                "certain_rows": int(sums.certain[position]),
                "mean_probability": float(sums.probability[position]) / size if size else None,
                "mean_log_density": float(sums.log_density[position]) / size if size else None,
                "anomalies": int(sums.anomalies[position]) if has_threshold else None,
                **_descent(training.model, position),
            }
        )
    return rows


def _descent(model: NightModel, position: int) -> Row:
    """Return how a segment's id came to its model; nothing in a first model."""
    if model.alignment is None:
        return {}
    descent = model.alignment.descents[position]
    predecessors = json.dumps(descent.predecessors) if descent.predecessors else None
    return {"origin": descent.origin, "predecessors": predecessors, "overlap": descent.overlap}


def outlying_rows(scores: Sequence[PartitionScores]) -> Iterator[Row]:
    """Yield the rows that lie farthest outside, with their values."""
    found = farthest(row for score in scores for row in score.outlying)
    for place, row in enumerate(found, start=1):
        yield {
            "dt": row.dt,
            "id": row.id,
            "place": place,
            "segment_id": row.segment_id,
            "log_density": row.log_density,
            "row_values": json.dumps(row.values, allow_nan=False),
        }


def succession_rows(training: Training) -> Iterator[Row]:
    """Yield what became of the segments of the model before; nothing where none was trained, or none was before."""
    alignment = training.model.alignment
    if alignment is None or not training.passes:
        return
    departures, arrivals = alignment.departures, alignment.arrivals
    notable = np.maximum(departures, arrivals) >= SMALLEST_PART
    for old, (segment_id, fate) in enumerate(zip(alignment.old_ids, alignment.fates, strict=True)):
        told = {"segment_id": segment_id, "fate": fate}
        if not notable[old].any():
            yield told
        for new in np.flatnonzero(notable[old]).tolist():
            yield {
                **told,
                "successor_id": alignment.segment_ids[new],
                "departed": float(departures[old, new]),
                "arrived": float(arrivals[old, new]),
            }


def profile_rows(training: Training, sums: SegmentSums) -> Iterator[Row]:
    """Yield the profiles of every segment with rows, and of all scored rows together."""
    imputed = training.model.segments.recipe.imputed
    yield from _profile(sums.whole(), [None], imputed)
    yield from _profile(sums, training.model.segments.segment_ids, imputed)


def _profile(sums: SegmentSums, segment_ids: Sequence[int | None], imputed: Sequence[str]) -> Iterator[Row]:
    missing = sums.missing_share()
    statistics = {
        "mean": sums.mean(),
        "sd": sums.standard_deviation(),
        "min": sums.minimum,
        "max": sums.maximum,
    }
    for position, segment_id in enumerate(segment_ids):
        size = int(sums.rows[position])
        if not size:
            continue
        for number, feature in enumerate(sums.features):
            for statistic, values in statistics.items():
                if sums.present[position, number]:
                    yield _measured(segment_id, feature, None, statistic, float(values[position, number]), "feature")
            if feature in imputed:
                yield _measured(segment_id, feature, None, "missing", float(missing[position, number]), "share")
        for feature, categories in sums.categories.items():
            for category in sorted(categories):
                if count := int(categories[category][position]):
                    yield _measured(segment_id, feature, category, "count", float(count), "rows")
                    yield _measured(segment_id, feature, category, "share", count / size, "share")


def _measured(
    segment_id: int | None, feature: str, category: str | None, statistic: str, value: float, unit: str
) -> Row:
    return {
        "segment_id": segment_id,
        "feature": feature,
        "category": category,
        "statistic": statistic,
        "value": value,
        "unit": unit,
    }


def grid_rows(grid: GridResult) -> list[Row]:
    """Return one row per candidate."""
    return [_grid_row(candidate, candidate is grid.best) for candidate in grid.candidates]


def _grid_row(candidate: Candidate, is_best: bool) -> Row:
    numbers = ("log_likelihood", "aic", "bic", "icl", "holdout_score", "remaining_gain")
    return {
        "covariance_type": candidate.covariance_type,
        "n_components": candidate.n_components,
        "n_parameters": candidate.n_parameters,
        **{name: _finite(getattr(candidate, name)) for name in numbers},
        "status": candidate.status,
        "reason": candidate.reason or None,
        "is_best": is_best,
    }


def lineage_rows(plan: NightPlan, training: Training | None, scores: Sequence[PartitionScores]) -> list[Row]:
    """Return which partitions were trained on and scored."""
    learned = () if training is None or training.lake is None else training.lake.partitions
    trained = [("train", part, part.rows) for part in learned]
    published = zip(plan.published_lake.partitions, scores, strict=True)
    scored = [("score", part, score.receipt.rows) for part, score in published]
    return [
        {
            "purpose": purpose,
            "partition_name": part.name,
            "fingerprint": part.fingerprint,
            "rows": rows,
            "dt": plan_date(part.date),
        }
        for purpose, part, rows in (*trained, *scored)
    ]


def run_row(plan: NightPlan, settings: Settings, outcome: Outcome, sums: SegmentSums, ended: Ended) -> Row:
    """Return the row of the run itself."""
    ok, missing, invalid, unseen = (int(count) for count in sums.statuses)
    total = ok + missing + invalid + unseen
    model, trained = outcome.training.model, outcome.trained or outcome.training
    decided = _noted(_decision(plan, outcome), plan, settings, outcome)
    if not total and plan.kind in LABEL_KINDS:
        decided["reason"] = f"{NO_ROWS} {decided['reason']}"
    return {
        "run_key": plan.run_key,
        "dt": plan.dt,
        "kind": plan.kind,
        "status": "alert" if outcome.wants_attention or (not ok and plan.kind in LABEL_KINDS) else "done",
        "model_id": model.model_id,
        **decided,
        "started_at": plan.started_at,
        "finished_at": ended.at,
        "rows_total": total,
        "rows_ok": ok,
        "rows_missing": missing,
        "rows_unseen": unseen,
        "rows_invalid": invalid,
        "rows_anomalous": None if model.segments.anomaly_threshold is None else int(sums.anomalies.sum()),
        "anomaly_threshold": model.segments.anomaly_threshold,
        "training_rows": trained.rows,
        "warnings": None if trained.warnings is None else json.dumps(trained.warnings),
        "passes": trained.passes,
        "step_seconds": json.dumps({step: round(seconds, 3) for step, seconds in ended.seconds.items()}),
        "settings_hash": settings.decisive_hash,
        "settings": json.dumps(settings.decisive, sort_keys=True),
        "numeric_fingerprint": fingerprint(),
        "versions": json.dumps(versions(), sort_keys=True),
        "report_uri": report_uri(settings, plan.dt, plan.run_id, has_trained=outcome.has_trained),
    }


def _noted(decided: Row, plan: NightPlan, settings: Settings, outcome: Outcome) -> Row:
    """Return a decision whose reason tells which settings the labels of a night do not follow yet."""
    note = untrained_note(outcome.training.model, settings) if plan.kind == "night" else ""
    return {**decided, "reason": f"{decided['reason']} {note}".rstrip()}


def _decision(plan: NightPlan, outcome: Outcome) -> Row:
    """Return what was found, done and decided, and why."""
    watched, challenge = outcome.watched, outcome.challenge
    decided: Row = {"action": plan.action, "verdict": watched.verdict.decision if watched else None}
    if challenge is None:
        return {**decided, "reason": _reason(plan, outcome)}
    decided["action"] = challenge.action if outcome.is_promoted else "keep"
    decided["challenger_id"] = challenge.training.model.model_id if challenge.training else None
    if challenge.scores is not None and challenge.scores.n_rows:
        decided["champion_score"] = challenge.scores.champion / challenge.scores.n_rows
        decided["challenger_score"] = challenge.scores.challenger / challenge.scores.n_rows
    return {**decided, "reason": f"{_reason(plan, outcome)} {challenge.decision.reason}."}


def _reason(plan: NightPlan, outcome: Outcome) -> str:
    if outcome.watched is not None:
        told = outcome.watched.verdict.reason
        return f"Verdict {outcome.watched.verdict.decision}: {told}."
    if outcome.trained is None:
        return KEPT[plan.kind].format(champion=plan.champion_id)
    why = "A new champion was asked for." if plan.action == "refit" else f"No model was in force before {plan.dt}."
    return " ".join((why, *(outcome.trained.grid.notes if outcome.trained.grid else ())))


def plan_date(text: str) -> date:
    """Return a partition's date as a date."""
    return date.fromisoformat(text)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
