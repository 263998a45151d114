"""`select`: the face of the grid search. Compares component counts and covariance structures on any kind of data."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gmmdask import _inputs
from gmmdask.errors import InvalidInputError
from gmmdask.estimator import GaussianMixture
from gmmdask.mixture.em import FitState, WeightType
from gmmdask.preparation.advice import ColumnEvidence, advise, sentences
from gmmdask.progress import shown_progress
from gmmdask.training.grid import search_grid
from gmmdask.training.plain import PlainFit
from gmmdask.training.results import Criterion, GridResult, GridSpec, Progress
from gmmdask.training.survey import Survey, survey_leaf

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

COLUMNS = (
    "covariance_type",
    "n_components",
    "n_parameters",
    "log_likelihood",
    "aic",
    "bic",
    "icl",
    "holdout_score",
    "remaining_gain",
    "status",
    "reason",
)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The grid that `select` compared.

    Parameters
    ----------
    result : GridResult
        Every candidate with its parameters.
    best_model : GaussianMixture
        The winner, fitted.
    criterion : str
        What chose it.
    warnings : tuple of str
        What to know of the columns; also the first of `notes`.
    """

    result: GridResult
    best_model: GaussianMixture
    criterion: Criterion
    warnings: tuple[str, ...] = ()

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a candidate: criteria (lower is better), status, the reason for it, and whether it won."""
        import pandas as pd

        rows = [asdict(candidate) for candidate in self.result.candidates]
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        return table.assign(is_best=[candidate is self.result.best for candidate in self.result.candidates])

    @property
    def passes(self) -> int:
        """Reads of the full data, pass 0 included."""
        return self.result.passes

    @property
    def notes(self) -> tuple[str, ...]:
        """What one should know of the columns, and of the choice: the grid's edge, smaller models as good."""
        return (*self.warnings, *self.result.notes)

    def plot(self) -> Figure:
        """Return a figure of BIC, AIC and what chose against the number of components, a line for each structure."""
        from gmmdask.figures import grid_figure  # plotly is slow to load

        return grid_figure(self.result.candidates, self.result.best, self.criterion)

    def __repr__(self) -> str:
        """Return the winner and how it was found."""
        best = self.result.best
        return (
            f"Selection({best.covariance_type} with {best.n_components} components by {self.criterion}, "
            f"{len(self.result.candidates)} candidates, {self.passes} passes)"
        )


def select(
    data: Any,
    *,
    n_components: int | Iterable[int] = range(1, 11),
    covariance_types: str | Iterable[str] = ("spherical", "diag", "tied", "full"),
    criterion: Criterion = "bic",
    sample_weight: Any = None,
    weight_type: WeightType = "frequency",
    reg_covar: float = 1e-6,
    random_state: Any = None,
    max_passes: int = 6,
    client: Any = None,
    verbose: bool | None = None,
) -> Selection:
    """Compare mixtures of several sizes and structures in a handful of passes over the data.

    Starts are searched on a seeded sample of the rows, candidates that cannot win leave the race, and the others take
    a few EM steps on all the data, which end with an evaluation of what is returned.

    Parameters
    ----------
    data : array-like, DataFrame, Dask array or DataFrame, or Lake, of shape (n_rows, n_features)
        Compared in its own units: scale features of very different spread first.
    n_components : int or iterable of int, default 1 to 10
    covariance_types : str or iterable of str, default all four
    criterion : {"bic", "aic", "icl", "holdout"}, default "bic"
        What chooses the winner.
    sample_weight : array-like of shape (n_rows,), optional
    weight_type : {"frequency", "importance"}, default "frequency"
        Whether weights count repetitions, or are known up to a factor only.
    reg_covar : float, default 1e-6
        Added to every variance, in squared units of the data.
    random_state : int, RandomState or None, default None
    max_passes : int, default 6
        Largest number of reads of the full data.
    client : distributed.Client, optional
        Where Dask collections and lakes are computed; by default the current client, else this process.
    verbose : bool, optional
        Show progress: a bar on a terminal, else plain lines in the log; by default only on a terminal.

    Returns
    -------
    Selection

    Raises
    ------
    InvalidInputError
        The data or an argument cannot be used.
    NoSoundCandidateError
        Every candidate describes `reg_covar` instead of the data.

    Examples
    --------
    >>> import numpy as np
    >>> random = np.random.default_rng(0)
    >>> rows = np.concatenate([random.normal(size=(500, 2)), random.normal(loc=8, size=(500, 2))])
    >>> select(rows, n_components=range(1, 4), covariance_types=["spherical"], random_state=0)
    Selection(spherical with 2 components by bic, 3 candidates, 4 passes)
    """
    spec = GridSpec(
        n_components=_counts(n_components),
        covariance_types=_names(covariance_types),
        criterion=_known(criterion),
        reg_covar=reg_covar,
        weight_type=weight_type,
        seed=_seed(random_state),
        max_passes=max_passes,
    )
    if not hasattr(max_passes, "__index__") or max_passes < 2:
        raise InvalidInputError(f"max_passes must be a whole number of at least 2; got {max_passes!r}.")
    model = GaussianMixture(reg_covar=reg_covar, weight_type=weight_type, random_state=spec.seed, client=client)
    model._validate_params()
    source = model._source(data, sample_weight, reset=True)
    names = tuple(partition.name for partition in source.partitions)
    with _inputs.engine_for(source, client).hold(source) as held, _progress(verbose) as progress:
        survey = held.map_reduce(survey_leaf, (source.features, names, spec.seed), name="pass-0")
        survey.require_complete("The data")
        warnings = _warnings(survey, spec, getattr(model, "feature_names_in_", source.features))
        if progress is not None:
            for warning in warnings:
                progress("before fitting", 0, 0, warning)
        result = search_grid(held, survey, spec, progress)
    best = result.best
    assert best.parameters is not None
    model.set_params(n_components=best.parameters.n_components, covariance_type=best.covariance_type)
    state = FitState(
        parameters=best.parameters,
        iteration=0,
        trace=(best.log_likelihood / result.population,),
        status="converged",
    )
    model._take(PlainFit(state=state, reference=result.reference), source, resumed=False)
    return Selection(result=result, best_model=model, criterion=spec.criterion, warnings=warnings)


def _warnings(survey: Survey, spec: GridSpec, names: Iterable[str]) -> tuple[str, ...]:
    evidence = ColumnEvidence(
        features=tuple(map(str, names)),
        values=survey.reservoir.values,
        minimum=survey.minimum,
        maximum=survey.maximum,
        missing=survey.missing / survey.n_rows,
        covariance_types=spec.covariance_types,
    )
    return sentences(advise(evidence))


def _progress(verbose: bool | None) -> AbstractContextManager[Progress | None]:
    shown = sys.stderr.isatty() if verbose is None else verbose
    return shown_progress() if shown else nullcontext()


def _names(covariance_types: str | Iterable[str]) -> tuple[str, ...]:
    if not isinstance(covariance_types, Iterable):
        raise InvalidInputError(f"covariance_types must name structures; got {covariance_types!r}.")
    return (covariance_types,) if isinstance(covariance_types, str) else tuple(dict.fromkeys(covariance_types))


def _counts(n_components: int | Iterable[int]) -> tuple[int, ...]:
    counts = tuple(dict.fromkeys(n_components)) if isinstance(n_components, Iterable) else (n_components,)
    if any(isinstance(k, bool) or not hasattr(k, "__index__") for k in counts):
        raise InvalidInputError(f"n_components must be whole numbers; got {list(counts)}.")
    return tuple(int(k) for k in counts)


def _known(criterion: Criterion) -> Criterion:
    if criterion not in ("bic", "aic", "icl", "holdout"):
        raise InvalidInputError(f"criterion={criterion!r} is not known; choose 'bic', 'aic', 'icl' or 'holdout'.")
    return criterion


def _seed(random_state: Any) -> int:
    """Return the seed itself, or one drawn from the given generator or from the system's entropy."""
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(np.iinfo(np.int32).max))
    if isinstance(random_state, (int, np.integer)):
        if not 0 <= random_state < 2**32:
            raise InvalidInputError(f"random_state must be between 0 and 2**32 - 1; got {random_state}.")
        return int(random_state)
    if random_state is None or isinstance(random_state, np.random.Generator):
        return int(np.random.default_rng(random_state).integers(np.iinfo(np.int32).max))
    raise InvalidInputError(f"random_state must be a whole number, a generator or None; got {random_state!r}.")
