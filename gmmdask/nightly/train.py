"""The model of a night: trained from pass 0 over recipe and grid, or the champion out of the registry."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from gmmdask.engine import Engine
from gmmdask.errors import GmmdaskError, InvalidInputError, NoSoundCandidateError, StorageError
from gmmdask.lake import Lake, PreparedSource, TrainingRows
from gmmdask.mixture.degeneracy import LARGEST_FLOORED_MASS, floored_mass
from gmmdask.mixture.em import FitState, ModelSpec
from gmmdask.nightly.advising import column_warnings, tell
from gmmdask.nightly.finishing import Fitted, finish_model
from gmmdask.nightly.history import read_history
from gmmdask.nightly.model import NightModel, load_night_model
from gmmdask.nightly.plan import NightPlan, warehouse_of
from gmmdask.nightly.preparing import learn_recipe, survey_rows
from gmmdask.nightly.untrained import INHERITED
from gmmdask.preparation import Recipe
from gmmdask.scoring import SegmentModel
from gmmdask.settings import Settings
from gmmdask.training.grid import fit_grid
from gmmdask.training.results import GridResult, GridSpec, Progress
from gmmdask.training.survey import Survey
from gmmdask.training.warm import continue_fit
from gmmdask.warehouse.port import pass_by

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class Training:
    """The model that labels tonight's rows, and how it was found.

    Parameters
    ----------
    model : NightModel
    grid : GridResult, optional
        None where no grid was fitted.
    rows : int, optional
        Rows trained on.
    lake : Lake, optional
        Partitions trained on; None where the champion was kept.
    passes : int, default 0
        Reads of all training data.
    seconds : mapping of str to float
        By step.
    warnings : tuple of str, optional
        What to know of the columns; None where the champion was kept.
    """

    model: NightModel
    grid: GridResult | None = None
    rows: int | None = None
    lake: Lake | None = None
    passes: int = 0
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
    return train_anew(plan, settings, engine, _predecessor(plan, settings), progress, at=at)


def train_anew(
    plan: NightPlan,
    settings: Settings,
    engine: Engine,
    champion: NightModel | None,
    progress: Progress | None = None,
    *,
    at: Callable[[str], None] = pass_by,
) -> Training:
    """Learn a recipe and fit the whole grid; segments that continue the champion's have its ids.

    Raises
    ------
    GmmdaskError
        As `train_model`.
    """
    steps = _Steps(at)
    rows, survey = _surveyed(plan, settings, engine, progress)
    steps.end("survey", "surveyed")
    recipe = learn_recipe(survey, settings)
    warnings = column_warnings(survey, settings)
    tell(warnings, progress)
    prepared = PreparedSource(source=rows, recipe=recipe, infinite="drop")
    grid = fit_grid(prepared, engine, survey.prepared(recipe), grid_spec(settings), progress)
    steps.end("fit", "fitted")
    model = finish_model(plan, settings, engine, Fitted(segments=_segments(grid, recipe), survey=survey), champion)
    steps.end("watch", "watch learned")
    return Training(
        model=model,
        grid=grid,
        rows=survey.moments.n_rows,
        lake=plan.training_lake,
        passes=grid.passes,
        seconds=steps.seconds,
        warnings=warnings,
    )


def warm_start(
    plan: NightPlan,
    settings: Settings,
    engine: Engine,
    champion: NightModel,
    progress: Progress | None = None,
    *,
    at: Callable[[str], None] = pass_by,
) -> Training:
    """Continue the champion's fit for a few steps on the training window; recipe and reference stay what they are.

    A model that collapsed on the way comes back with an objection in its provenance.

    Raises
    ------
    GmmdaskError
        As `train_model`.
    """
    steps = _Steps(at)
    rows, survey = _surveyed(plan, settings, engine, progress)
    steps.end("survey", "surveyed")
    old = champion.segments
    structure = old.parameters.structure
    spec = ModelSpec(
        structure=structure,
        n_components=old.n_segments,
        tol=settings.drift.smallest_gain / 10,
        reg_covar=settings.grid.reg_covar,
        max_iter=settings.drift.warm_passes,
        weight_type=settings.grid.weight_type,
    )
    prepared = PreparedSource(source=rows, recipe=old.recipe, infinite="drop")
    state = continue_fit(prepared, engine, old.parameters, old.reference, spec)
    steps.end("fit", "fitted")
    objection = _objection(state, settings.grid.reg_covar)
    parameters = old.parameters if state.status == "degenerate" else state.parameters
    segments = replace(old, parameters=parameters)
    learned_by = champion.provenance.get("settings", {})
    inherited = {name: learned_by[name] for name in INHERITED if name in learned_by}
    result = Fitted(
        segments=segments, survey=survey, objection=objection, inherited=inherited, continued=champion.watch
    )
    model = finish_model(plan, settings, engine, result, champion)
    steps.end("watch", "watch learned")
    return Training(
        model=model,
        rows=survey.moments.n_rows,
        lake=plan.training_lake,
        passes=1 + state.iteration,
        seconds=steps.seconds,
    )


class _Steps:
    """Seconds of the steps of a training, and the named point at the end of each."""

    def __init__(self, at: Callable[[str], None]) -> None:
        self.seconds: dict[str, float] = {}
        self._at, self._began = at, time.perf_counter()

    def end(self, step: str, point: str) -> None:
        """End a step; the next begins."""
        began, self._began = self._began, time.perf_counter()
        self.seconds[step] = self._began - began
        self._at(point)


def _surveyed(
    plan: NightPlan, settings: Settings, engine: Engine, progress: Progress | None
) -> tuple[TrainingRows, Survey]:
    if progress is not None:
        progress("pass 0", 0, 1, f"{len(plan.training_lake.files)} partitions")
    rows = TrainingRows(lake=plan.training_lake, id_column=settings.source.id, seed=settings.grid.seed)
    survey = survey_rows(rows, settings, engine)
    if progress is not None:
        progress("pass 0", 1, 1, f"{survey.n_rows:,} rows, {survey.moments.n_rows:,} of them usable")
    return rows, survey


def _objection(state: FitState, reg_covar: float) -> str:
    if state.status == "degenerate":
        return "a covariance became singular on the way"
    share = floored_mass(state.parameters, reg_covar)
    if share > LARGEST_FLOORED_MASS:
        return f"{share:.1%} of its mass lies in components as narrow as reg_covar={reg_covar:g}"
    return ""


def _predecessor(plan: NightPlan, settings: Settings) -> NightModel | None:
    """Return the model whose segments a new one may continue: the champion before, else the one in force now.

    The second where the first night is run anew. A champion that cannot be read any more must not prevent a new one.
    """
    model_id = plan.champion_id or read_history(warehouse_of(settings), settings.segmentation.name).champion
    if model_id is None:
        return None
    try:
        return load_night_model(settings, model_id)
    except GmmdaskError:
        _log.warning("the model %s cannot be read, so no segment id continues", model_id, exc_info=True)
        return None


def _kept(plan: NightPlan, settings: Settings) -> NightModel:
    model = _champion(plan, settings)
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


def _champion(plan: NightPlan, settings: Settings) -> NightModel:
    try:
        return load_night_model(settings, str(plan.champion_id))
    except StorageError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        raise StorageError(
            f"the champion, model {plan.champion_id}, is not in the registry any more ({error}); restore it, go back to the "
            "champion before (gmmdask models rollback SETTINGS), or make a new one (gmmdask nightly SETTINGS --refit)"
        ) from error


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"


def grid_spec(settings: Settings) -> GridSpec:
    """Return the grid of the settings."""
    return GridSpec(**settings.grid.model_dump())


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
