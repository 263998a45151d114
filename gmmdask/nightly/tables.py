"""The small tables of a night: values of the steps as rows, in the columns of `gmmdask.warehouse.tables`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any

from gmmdask.nightly.model import fingerprint, versions
from gmmdask.nightly.plan import NightPlan
from gmmdask.nightly.reporting import report_uri
from gmmdask.nightly.train import Training
from gmmdask.scoring import PartitionScores, SegmentSums
from gmmdask.settings import Settings
from gmmdask.training.results import Candidate, GridResult

Row = dict[str, Any]
KEPT = {
    "night": "The champion {champion} was kept.",
    "repeat": "Labelled by {champion}, the champion in force before.",
    "rescore": "Labelled by {champion}, the present champion.",
    "promote": "{champion} was made the champion by hand.",
    "rollback": "{champion} was made the champion again.",
}


def night_tables(
    plan: NightPlan, settings: Settings, training: Training, scores: Sequence[PartitionScores], sums: SegmentSums
) -> dict[str, list[Row]]:
    """Return the rows of every small table but `runs`.

    Parameters
    ----------
    plan : NightPlan
    settings : Settings
    training : Training
    scores : sequence of PartitionScores
        One per partition published.
    sums : SegmentSums
        Over all of them.
    """
    return {
        "segments": segment_rows(training, sums),
        "segment_profiles": list(profile_rows(training, sums)),
        "grid": [] if training.grid is None else grid_rows(training.grid),
        "lineage": lineage_rows(plan, training, scores),
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
            }
        )
    return rows


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


def lineage_rows(plan: NightPlan, training: Training, scores: Sequence[PartitionScores]) -> list[Row]:
    """Return which partitions were trained on and scored."""
    trained = [] if training.grid is None else [("train", part, part.rows) for part in plan.training_lake.partitions]
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


def run_row(plan: NightPlan, settings: Settings, training: Training, sums: SegmentSums, finished_at: datetime) -> Row:
    """Return the row of the run itself."""
    ok, missing, invalid, unseen = (int(count) for count in sums.statuses)
    model = training.model
    return {
        "run_key": plan.run_key,
        "dt": plan.dt,
        "kind": plan.kind,
        "status": "done",
        "model_id": model.model_id,
        "action": plan.action,
        "reason": _reason(plan, training),
        "started_at": plan.started_at,
        "finished_at": finished_at,
        "rows_total": ok + missing + invalid + unseen,
        "rows_ok": ok,
        "rows_missing": missing,
        "rows_unseen": unseen,
        "rows_invalid": invalid,
        "rows_anomalous": None if model.segments.anomaly_threshold is None else int(sums.anomalies.sum()),
        "anomaly_threshold": model.segments.anomaly_threshold,
        "training_rows": training.rows,
        "warnings": None if training.warnings is None else json.dumps(training.warnings),
        "passes": 0 if training.grid is None else training.grid.passes,
        "step_seconds": json.dumps({step: round(seconds, 3) for step, seconds in training.seconds.items()}),
        "settings_hash": settings.decisive_hash,
        "settings": json.dumps(settings.decisive, sort_keys=True),
        "numeric_fingerprint": fingerprint(),
        "versions": json.dumps(versions(), sort_keys=True),
        "report_uri": report_uri(settings, plan.dt, plan.run_id),
    }


def _reason(plan: NightPlan, training: Training) -> str:
    if training.grid is None:
        return KEPT[plan.kind].format(champion=plan.champion_id)
    why = "A new champion was asked for." if plan.action == "refit" else f"No model was in force before {plan.dt}."
    return " ".join((why, *training.grid.notes))


def plan_date(text: str) -> date:
    """Return a partition's date as a date."""
    return date.fromisoformat(text)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
