"""`GaussianMixture`: scikit-learn's face of plain EM, on arrays, frames, Dask collections and lakes.

Parameters, methods and fitted attributes are scikit-learn's; what is computed from the rows lives in `gmmdask.training`
and `gmmdask.mixture`. How inputs become sources and engines is in `gmmdask._inputs`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, DensityMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)

from gmmdask import _inputs
from gmmdask.errors import InvalidInputError
from gmmdask.lake import ArraySource
from gmmdask.mixture.em import FitState, ModelSpec
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.passes import RowScores
from gmmdask.mixture.stack import Reference
from gmmdask.mixture.structures import FloatArray, structure_named
from gmmdask.source import Source
from gmmdask.training.evaluation import Evaluation, evaluate
from gmmdask.training.guess import InitialGuess
from gmmdask.training.plain import PlainFit, PlainPlan, fit_plain

NOT_CONVERGED = (
    "Best performing initialization did not converge. Try different init parameters, or increase max_iter, tol, or"
    " check for degenerate data."
)


class GaussianMixture(DensityMixin, BaseEstimator):  # type: ignore[misc]
    """Gaussian mixture fitted by plain EM.

    On an array, the same start leads along the same path as scikit-learn's, to rounding. A Dask collection or a lake is
    fitted on `client`, else on the current Dask client, else in this process; its starts come from a random sample of
    100,000 rows, or from all rows where there are no more.

    Parameters
    ----------
    n_components : int, default 1
        Number of components.
    covariance_type : {"full", "tied", "diag", "spherical"}, default "full"
        Constraint on the covariances.
    tol : float, default 1e-3
        EM stops when the log-likelihood per row (nats) moves by less than this in one iteration.
    reg_covar : float, default 1e-6
        Added to every variance, in squared units of the data.
    max_iter : int, default 100
        Largest number of iterations.
    n_init : int, default 1
        Number of starts; they share each pass over the data and the best is kept.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"}, default "kmeans"
        How a start is drawn.
    weights_init, means_init, precisions_init : array-like, optional
        Values that replace those of the start; with all three given nothing is drawn.
    random_state : int, RandomState instance or None, default None
        Where starts and `sample` draw from.
    warm_start : bool, default False
        Whether `fit` goes on from the last solution. On other data than the last fit's it never stops because the
        likelihood happens to be the same.
    verbose : int, default 0
        1 prints starts and iterations, 2 also the change of the log-likelihood per row.
    verbose_interval : int, default 10
        Iterations between two prints.
    missing : {"error"}, default "error"
        What to do about missing values: refuse them.
    weight_type : {"frequency", "importance"}, default "frequency"
        Whether a row weight counts repetitions, or is known up to a factor only; the criteria then count
        (Σw)²/Σw² rows.
    client : distributed.Client, optional
        Where Dask collections and lakes are fitted. Kept by `clone`, dropped by pickling.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
    means_ : ndarray of shape (n_components, n_features)
    covariances_, precisions_, precisions_cholesky_ : ndarray
        Shape (n_components,) for spherical, (n_features, n_features) for tied, (n_components, n_features) for diag,
        (n_components, n_features, n_features) for full.
    converged_ : bool
        Whether the best start converged.
    n_iter_ : int
        Its iterations.
    lower_bound_ : float
        Log-likelihood per row (nats) before its last step.
    lower_bounds_ : list of float
        The same before each of its steps.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Only where the data have names.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> model = GaussianMixture(2, random_state=0).fit(X)
    >>> model.means_.round(6)
    array([[10.,  2.],
           [ 1.,  2.]])
    >>> model.predict([[0, 0], [12, 3]])
    array([1, 0])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions({"full", "tied", "diag", "spherical"})],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions({"kmeans", "k-means++", "random", "random_from_data"})],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "missing": [StrOptions({"error"})],
        "weight_type": [StrOptions({"frequency", "importance"})],
        "client": [object, None],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: Literal["full", "tied", "diag", "spherical"] = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: Literal["kmeans", "k-means++", "random", "random_from_data"] = "kmeans",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        missing: Literal["error"] = "error",
        weight_type: Literal["frequency", "importance"] = "frequency",
        client: Any = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.missing = missing
        self.weight_type = weight_type
        self.client = client

    def fit(self, X: Any, y: None = None, sample_weight: Any = None) -> Self:
        """Fit the mixture.

        Parameters
        ----------
        X : array-like, DataFrame, Dask array or DataFrame, or Lake, of shape (n_rows, n_features)
        y : ignored
        sample_weight : array-like of shape (n_rows,), optional
            Row weights, finite and at least zero; weight zero means that the row is absent. For a Dask collection a
            Dask array or series with the same partitions; a lake has a weight column instead.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            The data or a parameter cannot be used, or a component's covariance collapsed.
        """
        self._validate_params()
        source = self._source(X, sample_weight, reset=True)
        plan = self._plan(source)
        if isinstance(source, ArraySource) and len(source.values) < self.n_components:
            raise InvalidInputError(
                f"Expected n_samples >= n_components but got n_components = {self.n_components}, "
                f"n_samples = {len(source.values)}"
            )
        printer = _inputs.Printer.of(self.verbose, self.verbose_interval, self.n_init)
        fitted = fit_plain(source, _inputs.engine_for(source, self.client), plan, printer)
        self._take(fitted, source, resumed=plan.resumed is not None)
        if not self.converged_ and self.max_iter > 0:
            warnings.warn(NOT_CONVERGED, ConvergenceWarning, stacklevel=2)
        return self

    def fit_predict(self, X: Any, y: None = None, sample_weight: Any = None) -> Any:
        """Fit the mixture and return the label of every row: `fit(X).predict(X)`."""
        return self.fit(X, y, sample_weight=sample_weight).predict(X)

    def predict(self, X: Any) -> Any:
        """Return the most probable component of every row.

        Parameters
        ----------
        X : array-like, DataFrame, Dask array or DataFrame, or Lake, of shape (n_rows, n_features)

        Returns
        -------
        ndarray of shape (n_rows,), int64
            A Dask array or series where X is a Dask collection.
        """
        return self._by_rows(X, _inputs.labels)

    def predict_proba(self, X: Any) -> Any:
        """Return the posterior probability of every component for every row.

        Returns
        -------
        ndarray of shape (n_rows, n_components)
            A Dask array or DataFrame where X is a Dask collection.
        """
        return self._by_rows(X, _inputs.probabilities)

    def score_samples(self, X: Any) -> Any:
        """Return the logarithm of the mixture's density at every row, in nats.

        Returns
        -------
        ndarray of shape (n_rows,)
            A Dask array or series where X is a Dask collection.
        """
        return self._by_rows(X, _inputs.log_densities)

    def score(self, X: Any, y: None = None, sample_weight: Any = None) -> float:
        """Return the mean log-likelihood per row (nats); weighted if there are weights."""
        return self._evaluation(X, sample_weight).mean

    def aic(self, X: Any, sample_weight: Any = None) -> float:
        """Return Akaike's information criterion on X; the lower the better."""
        return self._evaluation(X, sample_weight).aic

    def bic(self, X: Any, sample_weight: Any = None) -> float:
        """Return the Bayesian information criterion on X; the lower the better."""
        return self._evaluation(X, sample_weight).bic

    def icl(self, X: Any, sample_weight: Any = None) -> float:
        """Return the integrated completed likelihood criterion on X, BIC plus twice the entropy; the lower the better.

        Biernacki, Celeux & Govaert (2000), with the soft entropy −Σ r·log r.
        """
        return self._evaluation(X, sample_weight).icl

    def sample(self, n_samples: int = 1) -> tuple[FloatArray, NDArray[np.int64]]:
        """Draw rows from the fitted mixture, in the order of its components.

        Parameters
        ----------
        n_samples : int, default 1

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        y : ndarray of shape (n_samples,)
            The component that each row was drawn from.
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise InvalidInputError(f"Invalid value for 'n_samples': {n_samples}. Sampling draws at least one row.")
        random_state = check_random_state(self.random_state)
        counts = random_state.multinomial(n_samples, self.weights_)
        return _inputs.drawn_rows(self._parameters(), counts, random_state), np.repeat(np.arange(len(counts)), counts)

    def _source(self, X: Any, sample_weight: Any, *, reset: bool) -> Source:
        """Return the data as a source, having checked names and number of their features."""
        if _inputs.is_dask_collection(X):
            self._check_columns(X, reset=reset)
            return _inputs.dask_source(X, sample_weight)
        if _inputs.is_source(X):
            if sample_weight is not None:
                raise InvalidInputError("A lake has its weights in a column: open_lake(..., weight_column=...).")
            _check_feature_names(self, _inputs.empty_frame(X.features), reset=reset)
            _check_n_features(self, _inputs.empty_frame(X.features), reset=reset)
            return X  # type: ignore[no-any-return]
        minimum = 2 if reset else 1
        X = validate_data(self, X, reset=reset, dtype=[np.float64, np.float32], ensure_min_samples=minimum)
        if sample_weight is None:
            return ArraySource.of(X)
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if self.weight_type == "importance" and weights.any():
            # Their factor has no meaning: a power of two takes it out and rounds nothing.
            weights = np.ldexp(weights, -int(np.frexp(weights.max())[1]))
        present = weights > 0
        return ArraySource.of(X, weights) if present.all() else ArraySource.of(X[present], weights[present])

    def _check_columns(self, X: Any, *, reset: bool) -> None:
        columns = getattr(X, "columns", None)
        like = np.empty((0, X.shape[1])) if columns is None else _inputs.empty_frame(columns)
        _check_feature_names(self, like, reset=reset)
        _check_n_features(self, like, reset=reset)

    def _spec(self) -> ModelSpec:
        return ModelSpec(
            structure=structure_named(self.covariance_type),
            n_components=self.n_components,
            tol=self.tol,
            reg_covar=self.reg_covar,
            max_iter=self.max_iter,
            weight_type=self.weight_type,
        )

    def _plan(self, source: Source) -> PlainPlan:
        whole = source if isinstance(source, ArraySource) else None
        guess = InitialGuess.checked(
            self.init_params,
            (self.weights_init, self.means_init, self.precisions_init),
            self._spec(),
            len(source.features),
        )
        return PlainPlan(
            spec=self._spec(),
            guess=guess,
            n_init=self.n_init,
            random_state=check_random_state(self.random_state),
            values=None if whole is None else whole.values,
            weights=None if whole is None else whole.weights,
            resumed=self._resumed(source) if self.warm_start and hasattr(self, "converged_") else None,
        )

    def _resumed(self, source: Source) -> FitState:
        expected = (self.n_components, len(source.features))
        if self.means_.shape != expected:
            raise InvalidInputError(
                f"warm_start goes on from a fit with (n_components, n_features) = {self.means_.shape}, which is now "
                f"{expected}; set warm_start=False or fit a new model."
            )
        same_data = getattr(self, "_data_fingerprint", None) == source.fingerprint
        return FitState(parameters=self._parameters(), trace=(self.lower_bound_,) if same_data else ())

    def _take(self, fitted: PlainFit, source: Source | None = None, *, resumed: bool = False) -> None:
        """Set the fitted attributes; of a trace that began before this fit, `lower_bounds_` are the later part."""
        state, parameters = fitted.state, fitted.state.parameters
        self.weights_, self.means_ = np.array(parameters.weights), np.array(parameters.means)
        self.covariances_ = np.array(parameters.covariances)
        self.precisions_cholesky_, self.precisions_ = _inputs.precisions_of(parameters)
        self.converged_ = state.status == "converged"
        self.n_iter_ = state.iteration
        self.lower_bounds_ = list(state.trace[len(state.trace) - state.iteration :])
        self.lower_bound_ = state.lower_bound
        self._reference = fitted.reference
        self._data_fingerprint = source.fingerprint if self.warm_start and source is not None else None

    def _parameters(self) -> MixtureParameters:
        return MixtureParameters(
            structure=structure_named(self.covariance_type),
            weights=self.weights_,
            means=self.means_,
            covariances=self.covariances_,
        )

    def _scored_about(self, parameters: MixtureParameters) -> Reference:
        reference: Reference | None = getattr(self, "_reference", None)
        return Reference.of(parameters) if reference is None else reference

    def _n_parameters(self) -> int:
        return self._parameters().n_parameters

    def _by_rows(self, X: Any, take: Callable[[RowScores], NDArray[Any]]) -> Any:
        check_is_fitted(self)
        parameters = self._parameters()
        model = (parameters, self._scored_about(parameters))
        if _inputs.is_dask_collection(X):
            self._check_columns(X, reset=False)
            return _inputs.lazy_rows(X, model, take)
        return _inputs.scored_rows(self._source(X, None, reset=False), model, take)

    def _evaluation(self, X: Any, sample_weight: Any) -> Evaluation:
        check_is_fitted(self)
        parameters, source = self._parameters(), self._source(X, sample_weight, reset=False)
        engine = _inputs.engine_for(source, self.client)
        return evaluate(source, engine, parameters, self._scored_about(parameters), self.weight_type)

    def __sklearn_clone__(self) -> Self:
        """Return an unfitted copy that shares the client."""
        parameters = self.get_params(deep=False)
        client = parameters.pop("client")
        copied = type(self)(**{name: clone(value, safe=False) for name, value in parameters.items()}, client=client)
        for name in ("_metadata_request", "_sklearn_output_config"):
            if hasattr(self, name):
                setattr(copied, name, clone(getattr(self, name), safe=False))
        return copied

    def __getstate__(self) -> dict[str, Any]:
        """Return what pickling keeps: everything but the client."""
        return {**super().__getstate__(), "client": None}
