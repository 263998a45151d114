"""From fitted components to the model of a night: ids, threshold, what later nights are judged by, where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gmmdask.engine import Engine
from gmmdask.lake import TrainingRows
from gmmdask.mixture.alignment import Alignment
from gmmdask.monitoring import FeatureBins, NightSums, ReferenceProfile, learn_null
from gmmdask.nightly.identity import continue_ids, fresh_ids, greatest_id
from gmmdask.nightly.model import NightModel, Watch, fingerprint
from gmmdask.nightly.observing import observe_dates, observer_of
from gmmdask.nightly.plan import NightPlan, window_lake
from gmmdask.nightly.preparing import survey_rows
from gmmdask.scoring import SegmentModel, score_leaf
from gmmdask.settings import Settings
from gmmdask.training.reservoir import Reservoir
from gmmdask.training.survey import Survey

SAMPLE_ROWS = 2_000
"""Rows kept with a model for its reports."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """Components as they were fitted, what pass 0 found, what there is to object, and what a predecessor hands on.

    That is the settings that it learned by, and what it knows of ordinary nights.
    """

    segments: SegmentModel
    survey: Survey
    objection: str = ""
    inherited: Mapping[str, Any] = field(default_factory=dict)
    continued: Watch | None = None


def finish_model(
    plan: NightPlan, settings: Settings, engine: Engine, fitted: Fitted, champion: NightModel | None
) -> NightModel:
    """Make the model of a night.

    Reads the window once where there is a champion whose segments may continue, and the training range once where drift
    is watched.

    Parameters
    ----------
    plan : NightPlan
    settings : Settings
    engine : Engine
    fitted : Fitted
    champion : NightModel, optional
        Whose segments the new ones may continue.
    """
    survey = fitted.survey
    segments, alignment = _identified(plan, settings, engine, fitted, champion)
    segments = with_threshold(segments, survey, settings.anomalies.quantile)
    return NightModel(
        segments=segments,
        provenance=_provenance(plan, settings, fitted),
        sample=survey.reservoir.values[:, survey.reservoir.shuffled()[:SAMPLE_ROWS]],
        watch=None if settings.drift.action == "off" else _watch(plan, settings, engine, segments, fitted),
        alignment=alignment,
    )


def with_threshold(segments: SegmentModel, survey: Survey, quantile: float) -> SegmentModel:
    """Return the model with the log density below which the given share of the training rows lies; 0 flags none."""
    if quantile == 0:
        return segments
    densities = score_leaf(survey.reservoir.ordered().values, segments).log_density
    return replace(segments, anomaly_threshold=float(np.quantile(densities, quantile, method="lower")))


def _identified(
    plan: NightPlan, settings: Settings, engine: Engine, fitted: Fitted, champion: NightModel | None
) -> tuple[SegmentModel, Alignment | None]:
    """Return the model with its stable ids; the first of all has 1 to K."""
    greatest = greatest_id(settings, plan.run_id)
    if champion is None and not greatest:
        return fitted.segments, None
    if champion is None or not _is_comparable(champion.segments, fitted.segments):
        return fresh_ids(fitted.segments, greatest), None
    rows = _window_rows(plan, settings, engine, fitted)
    return continue_ids(champion.segments, fitted.segments, rows, greatest)


def _is_comparable(old: SegmentModel, new: SegmentModel) -> bool:
    columns = [(model.recipe.features, set(model.recipe.category_features)) for model in (old, new)]
    return columns[0] == columns[1]


def _window_rows(plan: NightPlan, settings: Settings, engine: Engine, fitted: Fitted) -> Reservoir:
    """Return a seeded sample of the window's rows; of all training rows where the window has none that can be used."""
    window = window_lake(plan, settings.drift.window)
    rows = TrainingRows(lake=window, id_column=settings.source.id, seed=settings.grid.seed)
    reservoir = survey_rows(rows, settings, engine).reservoir
    return reservoir if reservoir.n_rows else fitted.survey.reservoir


def _watch(plan: NightPlan, settings: Settings, engine: Engine, segments: SegmentModel, fitted: Fitted) -> Watch:
    recipe, survey = segments.recipe, fitted.survey
    numbers = [j for j, name in enumerate(recipe.features) if name not in recipe.category_features]
    bins = FeatureBins.learn(
        [recipe.features[j] for j in numbers], survey.reservoir.values[numbers], _named_counts(survey)
    )
    observer = observer_of(segments, bins, settings)
    nights = observe_dates(plan.training_lake, engine, observer)
    sums = NightSums.of(
        observer.champion.stack.layout, {dt.isoformat(): seen.statistics for dt, seen in nights.items()}
    )
    watch = Watch(
        null=learn_null(sums, observer.champion, settings.drift.window),
        profile=ReferenceProfile.learn(bins, {dt: seen.features for dt, seen in nights.items()}),
    )
    return watch if fitted.continued is None else watch.joined(fitted.continued)


def _named_counts(survey: Survey) -> dict[str, dict[str, int]]:
    return {
        column: {value: n for value, n in counts.items() if value is not None}
        for column, counts in survey.categories.items()
    }


def _provenance(plan: NightPlan, settings: Settings, fitted: Fitted) -> dict[str, Any]:
    return {
        "segmentation": settings.segmentation.name,
        "run_id": plan.run_id,
        "dates": [plan.training_lake.dates[0], plan.training_lake.dates[-1]],
        "training_rows": fitted.survey.moments.n_rows,
        "manifest_fingerprint": plan.training_lake.fingerprint,
        "settings": {**settings.decisive, **fitted.inherited},
        "numeric_fingerprint": fingerprint(),
        "objection": fitted.objection,
    }
