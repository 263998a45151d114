"""One pass over a block of rows: what a stack of candidates sums, and what a single model says of each row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmmdask.mixture import kernels
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.stack import FactorForm, Reference, Stack, compile_stack
from gmmdask.mixture.statistics import Coverage, StackLayout, SufficientStatistics
from gmmdask.mixture.structures import FloatArray


def summarize(
    values: NDArray[Any], weights: FloatArray | None, stack: Stack, coverage: Coverage
) -> SufficientStatistics:
    """Sum what every candidate of a stack needs over a block of rows.

    Parameters
    ----------
    values : ndarray of shape (n_features, n_rows), float64 or float32
        Feature-major, C-contiguous, finite where the weight is positive.
    weights : ndarray of shape (n_rows,), optional
        Row weights; a row of weight zero counts as absent.
    stack : Stack
    coverage : Coverage
        The leaf that the rows are.
    """
    layout = stack.layout
    sums = np.zeros(layout.size)
    n_rows = values.shape[1]
    layout.view(sums, "mass")[0] = n_rows if weights is None else weights.sum()
    if n_rows:
        rows = kernels.Rows(values, weights, stack.reference.centre, stack.reference.scale)
        if layout.order:
            _accumulate_centred(rows, stack, sums)
        for candidate, form in zip(layout.local, stack.local_forms, strict=True):
            _accumulate_local(rows, layout, candidate, form, sums)
    return SufficientStatistics(layout=layout, n_rows=n_rows, coverage=coverage, sums=sums)


def _accumulate_centred(rows: kernels.Rows, stack: Stack, sums: FloatArray) -> None:
    layout = stack.layout
    names = ("spherical", "tied", "diag", "full", "shared")
    log_likelihoods = np.zeros(len(layout.order))
    into = kernels.Sums(log_likelihoods, *(layout.view(sums, name) for name in names))
    if kernels.use_fused(layout.n_features, layout.offsets[-1], stack.only_full):
        kernels.accumulate_fused(rows, kernel_stack(stack), into)
    else:
        kernels.accumulate_stacked(rows, kernel_stack(stack), into)
    layout.view(sums, "log_likelihood")[list(layout.order)] = log_likelihoods


def _accumulate_local(
    rows: kernels.Rows, layout: StackLayout, candidate: int, form: FactorForm, sums: FloatArray
) -> None:
    parts = [layout.view(sums, f"{part}{candidate}") for part in ("counts", "first", "second")]
    log_likelihood = layout.view(sums, "log_likelihood")[candidate : candidate + 1].reshape(())
    kernels.accumulate_local(rows, _local_stack(form), kernels.LocalSums(log_likelihood, *parts))


def _local_stack(form: FactorForm) -> kernels.Stack:
    k, d = form.means.shape
    nothing = np.empty((0, 0))
    return kernels.Stack(
        spherical=nothing,
        tied=nothing,
        diag=nothing,
        full=nothing,
        offsets=np.array([0, k]),
        bounds=np.array([np.inf]),
        constants=form.constants,
        means=form.means,
        factors=form.factors,
        tied_precisions=np.empty((0, d, d)),
    )


def kernel_stack(stack: Stack) -> kernels.Stack:
    """Return the arrays of a stack in the kernels' order."""
    form = stack.factor_form
    return kernels.Stack(
        *stack.coefficients,
        stack.offsets,
        stack.bounds,
        form.constants,
        form.means,
        form.factors,
        stack.tied_precisions,
    )


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class RowScores:
    """What a model says of each row.

    Parameters
    ----------
    log_densities : ndarray of shape (n_rows,)
        Logarithm of the mixture's density, in nats.
    responsibilities : ndarray of shape (n_components, n_rows)
        Posterior probabilities of the components.
    """

    log_densities: FloatArray
    responsibilities: FloatArray


def score_rows(values: NDArray[Any], parameters: MixtureParameters, reference: Reference) -> RowScores:
    """Return density and responsibilities of every row under one model.

    Parameters
    ----------
    values : ndarray of shape (n_features, n_rows)
        Feature-major, C-contiguous, finite.
    parameters : MixtureParameters
    reference : Reference
        Where the rows are centred; part of what determines the last bits.
    """
    stack = compile_stack([parameters], reference, centred=True)
    joint = kernels.log_joint(kernels.Rows(values, None, reference.centre, reference.scale), kernel_stack(stack))
    log_densities, responsibilities = kernels.softmax(joint)
    return RowScores(log_densities=log_densities, responsibilities=responsibilities)
