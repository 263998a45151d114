"""The model of a night: trained from pass 0 over recipe and grid, or the champion out of the registry."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gmmdask.engine import Engine
from gmmdask.errors import InvalidInputError, NoSoundCandidateError
from gmmdask.lake import PreparedSource, TrainingRows
from gmmdask.nightly.advising import column_warnings, tell
from gmmdask.nightly.model import NightModel, fingerprint, load_night_model
from gmmdask.nightly.plan import NightPlan
from gmmdask.nightly.preparing import imputed, learn_recipe, surveyed
from gmmdask.preparation import Recipe
from gmmdask.scoring import SegmentModel, score_leaf
from gmmdask.settings import Settings
from gmmdask.training.grid import fit_grid
from gmmdask.training.results import GridResult, GridSpec, Progress
from gmmdask.training.survey import Survey, survey_source
from gmmdask.warehouse.port import pass_by

SAMPLE_ROWS = 2_000
"""Rows kept with a model for its reports."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Training:
    """The model that labels tonight's rows, and how it was found.

    Parameters
    ----------
    model : NightModel
    grid : GridResult, optional
        None where the champion was kept.
    rows : int, optional
        Rows trained on.
    seconds : mapping of str to float
        By step.
    warnings : tuple of str, optional
        What to know of the columns; None where the champion was kept.
    """

    model: NightModel
    grid: GridResult | None = None
    rows: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] | None = None


def train_model(
    plan: NightPlan,
    settings: Settings,
    engine: Engine,
    progress: Progress | None = None,
    *,
    at: Callable[[str], None] = pass_by,
) -> Training:
    """Return the model of the run: the one that the plan keeps, or a new one. Writes nothing.

    Training sees the plan's window without the held-out rows; these are scored and published like all others.

    Raises
    ------
    EmptyDataError
        No row has a value in every feature.
    InvalidInputError
        A column is constant or has no value, there are more components than rows, or the model that is kept has other
        features than the settings.
    NoSoundCandidateError
        Every candidate was disqualified.
    UnreadablePartitionError, SchemaError
        A file cannot be read; names it.
    """
    if plan.action == "keep":
        return Training(model=_kept(plan, settings))
    began = time.perf_counter()
    if progress is not None:
        progress("pass 0", 0, 1, f"{len(plan.training_lake.files)} partitions")
    rows = TrainingRows(lake=plan.training_lake, id_column=settings.source.id, seed=settings.grid.seed)
    survey = survey_source(surveyed(rows, settings), engine, seed=settings.grid.seed, imputed=imputed(settings))
    at("surveyed")
    recipe = learn_recipe(survey, settings)
    if progress is not None:
        progress("pass 0", 1, 1, f"{survey.n_rows:,} rows, {survey.moments.n_rows:,} of them usable")
    warnings = column_warnings(survey, settings)
    tell(warnings, progress)
    learned = time.perf_counter()
    prepared = PreparedSource(source=rows, recipe=recipe, infinite="drop")
    grid = fit_grid(prepared, engine, survey.prepared(recipe), grid_spec(settings), progress)
    at("fitted")
    segments = with_threshold(_segments(grid, recipe), survey, settings.anomalies.quantile)
    return Training(
        model=NightModel(
            segments=segments,
            provenance=_provenance(plan, settings, survey),
            sample=survey.reservoir.values[:, survey.reservoir.shuffled()[:SAMPLE_ROWS]],
        ),
        grid=grid,
        rows=survey.moments.n_rows,
        seconds={"survey": learned - began, "fit": time.perf_counter() - learned},
        warnings=warnings,
    )


def _kept(plan: NightPlan, settings: Settings) -> NightModel:
    model = load_night_model(settings, str(plan.champion_id))
    recipe = model.segments.recipe
    learned = recipe.features
    if set(recipe.category_features) != set(settings.preparation.one_hot):
        raise InvalidInputError(
            f"model {plan.champion_id} was trained with {_listed(recipe.category_features)} as categories, and "
            f"preparation.one_hot has {_listed(settings.preparation.one_hot)}; go back to the former, or make a new "
            "champion with --refit"
        )
    if learned != settings.features:
        raise InvalidInputError(
            f"model {plan.champion_id} was trained on the features {', '.join(learned)}, and the settings have "
            f"{', '.join(settings.features)}; go back to the former, or make a new champion with --refit"
        )
    return model


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"


def grid_spec(settings: Settings) -> GridSpec:
    """Return the grid of the settings."""
    return GridSpec(**settings.grid.model_dump())


def with_threshold(segments: SegmentModel, survey: Survey, quantile: float) -> SegmentModel:
    """Return the model with the log density below which the given share of the training rows lies; 0 flags none."""
    if quantile == 0:
        return segments
    densities = score_leaf(survey.reservoir.ordered().values, segments).log_density
    return replace(segments, anomaly_threshold=float(np.quantile(densities, quantile, method="lower")))


def _segments(grid: GridResult, recipe: Recipe) -> SegmentModel:
    """Return the winner as a model whose segments are numbered from 1, the heaviest first."""
    parameters = grid.best.parameters
    if parameters is None:
        raise NoSoundCandidateError("the winner of the grid has no parameters, so it cannot label a row")
    order = np.argsort(-parameters.weights, kind="stable").tolist()
    return SegmentModel(
        recipe=recipe,
        parameters=parameters.permuted(order),
        reference=grid.reference,
        segment_ids=tuple(range(1, parameters.n_components + 1)),
    )


def _provenance(plan: NightPlan, settings: Settings, survey: Survey) -> dict[str, Any]:
    return {
        "segmentation": settings.segmentation.name,
        "run_id": plan.run_id,
        "dates": [plan.training_lake.dates[0], plan.training_lake.dates[-1]],
        "training_rows": survey.moments.n_rows,
        "manifest_fingerprint": plan.training_lake.fingerprint,
        "settings": settings.decisive,
        "numeric_fingerprint": fingerprint(),
    }
