"""Laws and references of the numeric kernels. Oracles: longdouble loops, SciPy; never one kernel for another alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from threadpoolctl import threadpool_limits

from gmmdask.mixture.kernels import (
    LocalSums,
    Rows,
    Stack,
    Sums,
    accumulate_fused,
    accumulate_local,
    accumulate_stacked,
    empty_local_sums,
    empty_sums,
    log_joint,
    softmax,
    use_fused,
)
from gmmdask.mixture.kernels.blocks import centre_rows, cross_products
from gmmdask.mixture.kernels.elementary import exp_nonpositive, log_positive
from gmmdask.mixture.kernels.fused import _fused_leaf
from gmmdask.mixture.kernels.local import _local_leaf
from gmmdask.mixture.kernels.softmax import softmax_block

KINDS = ("spherical", "tied", "diag", "full")
Array = NDArray[Any]


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    with threadpool_limits(1):
        yield


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Textbook parameters; covariances always (K, d, d)."""

    kind: str
    weights: Array
    means: Array
    covariances: Array


def make_candidate(rng: Any, kind: str, d: int, k: int, centre: Array) -> Candidate:
    root = rng.normal(size=(k, d, d))
    covariances = root @ root.transpose(0, 2, 1) / d + 0.5 * np.eye(d)
    if kind == "tied":
        covariances[:] = covariances[0]
    if kind == "diag":
        covariances = covariances * np.eye(d)
    if kind == "spherical":
        covariances = np.array([np.eye(d) * c[0, 0] for c in covariances])
    return Candidate(
        kind=kind, weights=rng.dirichlet(np.ones(k)), means=centre + rng.normal(size=(k, d)), covariances=covariances
    )


def feature_rows(kind: str, x: Array) -> Array:
    """Return the features of a structure, as the kernels order them, for x (d, n)."""
    ones, d = np.ones((1, x.shape[1]), dtype=x.dtype), len(x)
    cross = [x[i] * x[j] for i in range(d) for j in range(i + 1, d)]
    return {
        "spherical": np.vstack([np.sum(x * x, axis=0)[None], ones, x]),
        "tied": np.vstack([ones, x]),
        "diag": np.vstack([ones, x, x * x]),
        "full": np.vstack([ones, x, x * x, *cross]),
    }[kind]


def coefficient_row(kind: str, precision: Array, mean: Array, constant: float) -> Array:
    h = precision @ mean
    first = constant - mean @ h / 2
    upper = np.triu_indices(len(mean), 1)
    return {
        "spherical": np.concatenate([[-precision[0, 0] / 2, first], h]),
        "tied": np.concatenate([[first], h]),
        "diag": np.concatenate([[first], h, -np.diag(precision) / 2]),
        "full": np.concatenate([[first], h, -np.diag(precision) / 2, -precision[upper]]),
    }[kind]


def columns(kind: str, d: int) -> int:
    return {"spherical": d + 2, "tied": 1 + d, "diag": 1 + 2 * d, "full": 1 + d + d * (d + 1) // 2}[kind]


def stack_of(candidates: list[Candidate], centre: Array, scale: Array) -> Stack:
    """Return the arrays of candidates that are already ordered by structure."""
    d = len(centre)
    coefficients: dict[str, list[Array]] = {kind: [] for kind in KINDS}
    constants, factors, bounds, tied = [], [], [], []
    for candidate in candidates:
        precisions = np.linalg.inv(candidate.covariances)
        precisions = (precisions + precisions.transpose(0, 2, 1)) / 2
        for weight, mean, precision in zip(candidate.weights, candidate.means, precisions, strict=True):
            constant = np.log(weight) - d / 2 * np.log(2 * np.pi) + np.linalg.slogdet(precision)[1] / 2
            coefficients[candidate.kind].append(coefficient_row(candidate.kind, precision, mean - centre, constant))
            constants.append(constant)
            factors.append(np.linalg.cholesky(precision))
        bounds.append(np.finfo(float).eps * np.linalg.eigvalsh(precisions * np.outer(scale, scale)).max())
        if candidate.kind == "tied":
            tied.append(precisions[0])
    return Stack(
        **{kind: np.array(coefficients[kind]).reshape(-1, columns(kind, d)) for kind in KINDS},
        offsets=np.cumsum([0, *(len(c.weights) for c in candidates)]),
        bounds=np.array(bounds),
        constants=np.array(constants),
        means=np.concatenate([c.means for c in candidates]),
        factors=np.array(factors),
        tied_precisions=np.array(tied).reshape(-1, d, d),
    )


def oracle_joint(candidate: Candidate, values: Array) -> Array:
    """Return log joint densities (K, n) in extended precision from the textbook formula."""
    d = len(values)
    rows = []
    for weight, mean, covariance in zip(candidate.weights, candidate.means, candidate.covariances, strict=True):
        difference = values.astype(np.longdouble) - mean[:, None].astype(np.longdouble)
        inverse = np.linalg.inv(covariance)
        inverse = ((inverse + inverse.T) / 2).astype(np.longdouble)
        distance = np.zeros(values.shape[1], dtype=np.longdouble)
        for i in range(d):
            for j in range(d):
                distance += difference[i] * inverse[i, j] * difference[j]
        constant = np.log(weight) - d / 2 * np.log(2 * np.pi) - np.linalg.slogdet(covariance)[1] / 2
        rows.append(constant - distance / 2)
    return np.array(rows)


def oracle_softmax(joint: Array) -> tuple[Array, Array]:
    top = joint.max(axis=0)
    total = np.exp(joint - top).sum(axis=0)
    return top + np.log(total), np.exp(joint - top) / total


def oracle_sums(candidates: list[Candidate], rows: Rows) -> tuple[Array, dict[str, Array], Array, float]:
    """Return log-likelihoods, sums by structure, the shared moment, and the sum of absolute terms that errors scale with."""
    d, n = rows.values.shape
    weights = np.ones(n) if rows.weights is None else rows.weights
    kept = weights != 0
    values, weights = rows.values[:, kept].astype(np.longdouble), weights[kept].astype(np.longdouble)
    x = values - rows.centre[:, None].astype(np.longdouble)
    sums: dict[str, list[Array]] = {kind: [np.zeros((0, columns(kind, d)))] for kind in KINDS}
    log_likelihood = []
    for candidate in candidates:
        log_sum, responsibilities = (
            oracle_softmax(oracle_joint(candidate, values)) if kept.any() else (weights, np.zeros((1, 0)))
        )
        log_likelihood.append(np.sum(weights * log_sum))
        resized = responsibilities if kept.any() else np.zeros((len(candidate.weights), 0))
        sums[candidate.kind].append((resized * weights) @ feature_rows(candidate.kind, x).T)
    magnitude = float(np.sum(weights * (1 + np.sum(x * x, axis=0)))) + float(np.sum(np.abs(log_likelihood)))
    return (
        np.array(log_likelihood),
        {k: np.concatenate(v) for k, v in sums.items()},
        (x * weights) @ x.T,
        max(magnitude, 1.0),
    )


def check_sums(
    actual: Sums, candidates: list[Candidate], rows: Rows, tolerance: float, with_shared: bool = True
) -> None:
    log_likelihood, sums, shared, magnitude = oracle_sums(candidates, rows)
    limit = tolerance * magnitude
    np.testing.assert_allclose(actual.log_likelihood, log_likelihood.astype(float), rtol=0, atol=limit)
    for kind in KINDS:
        np.testing.assert_allclose(getattr(actual, kind), sums[kind].astype(float), rtol=0, atol=limit, err_msg=kind)
    if with_shared:
        np.testing.assert_allclose(actual.shared, shared.astype(float), rtol=0, atol=limit)


def make_rows(rng: Any, d: int, n: int, offset: float, weighted: bool) -> Rows:
    values = np.ascontiguousarray(offset + 2 * rng.normal(size=(d, n)))
    weights = rng.uniform(0.1, 3, size=n) * (rng.uniform(size=n) > 0.2) if weighted else None
    return Rows(values, weights, np.full(d, offset), np.full(d, 2.0))


SHAPES = st.tuples(st.integers(1, 7), st.integers(1, 5), st.sampled_from([0, 1, 255, 257, 1000, 1025]))


@settings(deadline=None, max_examples=25)
@given(shape=SHAPES, offset=st.sampled_from([0.0, 1e6]), weighted=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_a_stack_of_all_structures_agrees_with_extended_precision(
    shape: tuple[int, int, int], offset: float, weighted: bool, seed: int
) -> None:
    """To 1e-12 of the sum of absolute terms."""
    d, k, n = shape
    rng = np.random.default_rng(seed)
    rows = make_rows(rng, d, n, offset, weighted)
    candidates = [make_candidate(rng, kind, d, m, rows.centre) for kind in KINDS for m in (k, 1)]
    stack = stack_of(candidates, rows.centre, rows.scale)
    sums = empty_sums(stack)
    accumulate_stacked(rows, stack, sums)
    check_sums(sums, candidates, rows, 1e-12)


@settings(deadline=None, max_examples=25)
@given(shape=SHAPES, offset=st.sampled_from([0.0, 1e6]), weighted=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_the_fused_kernel_agrees_with_extended_precision(
    shape: tuple[int, int, int], offset: float, weighted: bool, seed: int
) -> None:
    """To 1e-12 of the sum of absolute terms."""
    d, k, n = shape
    rng = np.random.default_rng(seed)
    rows = make_rows(rng, d, n, offset, weighted)
    candidates = [make_candidate(rng, "full", d, m, rows.centre) for m in (k, 2)]
    stack = stack_of(candidates, rows.centre, rows.scale)
    sums = empty_sums(stack)
    accumulate_fused(rows, stack, sums, with_shared=True)
    check_sums(sums, candidates, rows, 1e-12)


@settings(deadline=None, max_examples=25)
@given(shape=SHAPES, kind=st.sampled_from(KINDS), weighted=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_local_sums_are_about_the_components_own_means(
    shape: tuple[int, int, int], kind: str, weighted: bool, seed: int
) -> None:
    """To 1e-12 of the sum of absolute terms."""
    d, k, n = shape
    rng = np.random.default_rng(seed)
    rows = make_rows(rng, d, n, 1e6, weighted)
    candidate = make_candidate(rng, kind, d, k, rows.centre)
    stack = stack_of([candidate], rows.centre, rows.scale)
    sums = empty_local_sums(stack)
    accumulate_local(rows, stack, sums)
    weights = np.ones(n) if rows.weights is None else rows.weights
    log_sum, r = oracle_softmax(oracle_joint(candidate, rows.values)) if n else (np.zeros(0), np.zeros((k, 0)))
    limit = 1e-12 * max(1.0, float(np.sum(weights) * 100 * d))
    difference = rows.values[None].astype(np.longdouble) - candidate.means[:, :, None]
    expected = LocalSums(
        np.asarray(np.sum(weights * log_sum)),
        np.sum(r * weights, axis=1),
        np.einsum("kn,kin->ki", r * weights, difference),
        np.einsum("kn,kin,kjn->kij", r * weights, difference, difference),
    )
    for ours, theirs in zip(sums, expected, strict=True):
        np.testing.assert_allclose(ours, np.asarray(theirs, dtype=float), rtol=0, atol=limit)


@pytest.mark.parametrize("accumulate", [accumulate_stacked, accumulate_fused])
@pytest.mark.parametrize("d", [9, 40, 48])
def test_many_features_agree_with_extended_precision(accumulate: Any, d: int) -> None:
    """To 1e-12 of the sum of absolute terms."""
    rng = np.random.default_rng(d)
    rows = make_rows(rng, d, 300, 10.0, True)
    candidates = [make_candidate(rng, "full", d, 3, rows.centre)]
    stack = stack_of(candidates, rows.centre, rows.scale)
    sums = empty_sums(stack)
    accumulate(rows, stack, sums, with_shared=True)
    check_sums(sums, candidates, rows, 1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_log_joint_is_the_log_density_of_scipy(kind: str) -> None:
    """To rounding; the tied quadratic included."""
    rng = np.random.default_rng(3)
    rows = make_rows(rng, 4, 1500, 1e6, False)
    candidate = make_candidate(rng, kind, 4, 3, rows.centre)
    joint = log_joint(rows, stack_of([candidate], rows.centre, rows.scale))
    for k in range(3):
        density = multivariate_normal(candidate.means[k], candidate.covariances[k]).logpdf(rows.values.T)
        np.testing.assert_allclose(joint[k], np.log(candidate.weights[k]) + density, rtol=1e-11, atol=1e-11)


def test_an_outlier_moves_its_block_alone_to_the_factor_form() -> None:
    """One tight candidate beside one wide one, one row far out: the expanded form would err by more than is allowed here."""
    rng = np.random.default_rng(4)
    d, n = 3, 3000
    rows = make_rows(rng, d, n, 0.0, False)
    far = np.array([3e4, -2e4, 1e4])
    rows.values[:, 1500] = far + 1e-3
    candidates = [make_candidate(rng, kind, d, 2, rows.centre) for kind in KINDS]
    for candidate in candidates:
        candidate.means[0] = far
        candidate.covariances[...] *= 1e-2
    stack = stack_of(candidates, rows.centre, rows.scale)
    radius = float(np.sum((rows.values / 2) ** 2, axis=0).max())
    assert np.all(stack.bounds * radius > 1e-8), "the outlier should call for the factor form"
    typical = float(np.sort(np.sum((rows.values / 2) ** 2, axis=0))[-2])
    assert np.all(stack.bounds * typical < 1e-8), "the other rows should not"
    joint = log_joint(rows, stack)
    expected = np.concatenate([oracle_joint(c, rows.values) for c in candidates]).astype(float)
    np.testing.assert_allclose(joint[:, 1500], expected[:, 1500], rtol=1e-13, atol=1e-10)
    np.testing.assert_allclose(joint, expected, rtol=1e-9, atol=1e-5)
    sums = empty_sums(stack)
    accumulate_stacked(rows, stack, sums)
    check_sums(sums, candidates, rows, 1e-12)
    only_full = stack_of(candidates[3:], rows.centre, rows.scale)
    fused = empty_sums(only_full)
    accumulate_fused(rows, only_full, fused, with_shared=True)
    check_sums(fused, candidates[3:], rows, 1e-12)


@pytest.mark.parametrize("accumulate", [accumulate_stacked, accumulate_fused])
def test_tight_components_far_from_the_centre_keep_their_likelihood(accumulate: Any) -> None:
    """To 1e-9 nats a row, where the expanded form errs by hundredths and more."""
    rng = np.random.default_rng(12)
    d, n = 3, 700
    candidate = make_candidate(rng, "full", d, 2, np.full(d, 1e3))
    candidate.covariances[...] *= 1e-9
    candidate.means[1] = candidate.means[0] + 1e-4
    values = np.ascontiguousarray(candidate.means[0][:, None] + 3e-5 * rng.normal(size=(d, n)))
    rows = Rows(values, None, np.zeros(d), np.ones(d))
    stack = stack_of([candidate], rows.centre, rows.scale)
    sums, expanded = empty_sums(stack), empty_sums(stack)
    accumulate(rows, stack, sums)
    accumulate(rows, stack._replace(bounds=np.zeros(1)), expanded)
    expected = float(oracle_sums([candidate], rows)[0][0])
    assert abs(expanded.log_likelihood[0] - expected) > 1e-2 * np.sqrt(n), (
        "without the bound the test would prove nothing"
    )
    assert abs(sums.log_likelihood[0] - expected) < 1e-9 * n


def test_a_missing_value_spoils_its_own_row_only() -> None:
    """NaN for that row; an outlier in the same block is still seen and every other row is as exact as without it."""
    rng = np.random.default_rng(11)
    rows = make_rows(rng, 3, 500, 0.0, False)._replace(weights=np.zeros(500))
    far = np.array([3e4, -2e4, 1e4])
    rows.values[:, 400] = far + 1e-3
    candidates = [make_candidate(rng, kind, 3, 2, far) for kind in KINDS]
    for candidate in candidates:
        candidate.covariances[...] *= 1e-2
    stack = stack_of(candidates, rows.centre, rows.scale)
    expected = np.concatenate([oracle_joint(c, rows.values) for c in candidates]).astype(float)
    rows.values[1, 100] = np.nan
    joint = log_joint(rows, stack)
    assert np.all(np.isnan(joint[:, 100]))
    kept = np.arange(500) != 100
    np.testing.assert_allclose(joint[:, kept], expected[:, kept], rtol=1e-12, atol=1e-10)


def test_candidates_of_one_block_take_different_forms() -> None:
    """A tight tied candidate takes the factor form where a wide one does not; both likelihoods stay complete."""
    rng = np.random.default_rng(5)
    rows = make_rows(rng, 2, 257, 0.0, True)
    wide, tight = (make_candidate(rng, "tied", 2, 2, rows.centre) for _ in range(2))
    tight.covariances[...] *= 1e-9
    stack = stack_of([wide, tight], rows.centre, rows.scale)
    radius = float(np.sum((rows.values / 2) ** 2, axis=0).max())
    assert list(stack.bounds * radius > 1e-8) == [False, True]
    sums = empty_sums(stack)
    accumulate_stacked(rows, stack, sums)
    log_likelihood = oracle_sums([wide, tight], rows)[0].astype(float)
    np.testing.assert_allclose(sums.log_likelihood, log_likelihood, rtol=1e-12)


@pytest.mark.parametrize("accumulate", [accumulate_stacked, accumulate_fused, accumulate_local])
def test_rows_of_weight_zero_are_absent_whatever_they_hold(accumulate: Any) -> None:
    """Bits: the same as with the centre in their place."""
    rng = np.random.default_rng(6)
    rows = make_rows(rng, 3, 700, 5.0, True)
    assert rows.weights is not None
    stack = stack_of([make_candidate(rng, "full", 3, 2, rows.centre)], rows.centre, rows.scale)
    dirty, clean = rows.values.copy(), rows.values.copy()
    absent = rows.weights == 0
    clean[:, absent] = 5.0
    dirty[:, absent] = rng.choice([np.nan, np.inf, -np.inf, 1e300], size=(3, int(absent.sum())))
    results = []
    for values in (dirty, clean):
        sums = empty_local_sums(stack) if accumulate is accumulate_local else empty_sums(stack)
        accumulate(rows._replace(values=values), stack, sums)
        results.append([part.tobytes() for part in sums])
    assert results[0] == results[1]


@pytest.mark.parametrize("accumulate", [accumulate_stacked, accumulate_fused, accumulate_local])
def test_float32_rows_give_the_sums_of_their_float64_copies(accumulate: Any) -> None:
    """Bits."""
    rng = np.random.default_rng(7)
    rows = make_rows(rng, 3, 1300, 5.0, False)
    single = rows.values.astype(np.float32)
    stack = stack_of([make_candidate(rng, "full", 3, 2, rows.centre)], rows.centre, rows.scale)
    results = []
    for values in (single, single.astype(np.float64)):
        sums = empty_local_sums(stack) if accumulate is accumulate_local else empty_sums(stack)
        accumulate(rows._replace(values=values), stack, sums)
        results.append([part.tobytes() for part in sums])
    assert results[0] == results[1]


def shifted(array: Array) -> Array:
    """Return the same numbers eight bytes further on in memory."""
    buffer = np.empty(array.size + 1, dtype=array.dtype)
    copy = buffer[1:].reshape(array.shape)
    copy[...] = array
    return copy


@pytest.mark.parametrize("accumulate", [accumulate_stacked, accumulate_fused, accumulate_local])
def test_bytes_depend_neither_on_alignment_nor_on_other_threads(accumulate: Any) -> None:
    """Bits, on repeated calls from several threads at once, from arrays at other addresses."""
    rng = np.random.default_rng(8)
    rows = make_rows(rng, 5, 5003, 1.0, True)
    kinds = KINDS if accumulate is accumulate_stacked else ("full",)
    stack = stack_of([make_candidate(rng, kind, 5, 3, rows.centre) for kind in kinds], rows.centre, rows.scale)
    assert rows.weights is not None
    moved_rows = Rows(*(shifted(np.asarray(part)) for part in rows))
    moved_stack = Stack(*(shifted(part) for part in stack))

    def run(turn: int) -> list[bytes]:
        own_rows, own_stack = (moved_rows, moved_stack) if turn % 2 else (rows, stack)
        sums = empty_local_sums(own_stack) if accumulate is accumulate_local else empty_sums(own_stack)
        accumulate(own_rows, own_stack, sums)
        return [part.tobytes() for part in sums]

    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(run, range(8)))
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("accumulate", [accumulate_stacked, accumulate_fused, accumulate_local])
def test_frozen_and_strided_arrays_give_the_same_bytes(accumulate: Any) -> None:
    """Bits; and no loop is compiled again for them."""
    rng = np.random.default_rng(10)
    rows = make_rows(rng, 5, 9001, 1.0, True)
    stack = stack_of([make_candidate(rng, "full", 5, 3, rows.centre)], rows.centre, rows.scale)

    def frozen(part: Any) -> Array:
        strided: Array = np.repeat(part, 2, axis=-1)[..., ::2]
        strided.flags.writeable = False
        return strided

    results, compiled = [], []
    for own_rows, own_stack in ((rows, stack), (Rows(*map(frozen, rows)), Stack(*map(frozen, stack)))):
        sums = empty_local_sums(own_stack) if accumulate is accumulate_local else empty_sums(own_stack)
        accumulate(own_rows, own_stack, sums)
        results.append([part.tobytes() for part in sums])
        loops = (_fused_leaf, _local_leaf, softmax_block, centre_rows, cross_products)
        compiled.append([len(loop.signatures) for loop in loops])
    assert results[0] == results[1]
    assert compiled[0] == compiled[1]


def test_a_pass_adds_to_what_is_there_already() -> None:
    """Rounding: twice the rows are twice the sums, in both kernels."""
    rng = np.random.default_rng(9)
    rows = make_rows(rng, 2, 300, 0.0, False)
    stack = stack_of([make_candidate(rng, "full", 2, 2, rows.centre)], rows.centre, rows.scale)
    for accumulate in (accumulate_stacked, accumulate_fused):
        once, twice = empty_sums(stack), empty_sums(stack)
        accumulate(rows, stack, once, with_shared=True)
        for _ in range(2):
            accumulate(rows, stack, twice, with_shared=True)
        for one, two in zip(once, twice, strict=True):
            np.testing.assert_allclose(two, 2 * one, rtol=1e-14)


@pytest.mark.parametrize("level", [0.0, -1e3, -1e300, -np.inf])
def test_softmax_survives_rows_that_no_component_explains(level: float) -> None:
    """Finite log sums, and responsibilities that sum to one."""
    joint = (
        level + np.zeros((3, 1001))
        if np.isinf(level)
        else level * np.random.default_rng(1).uniform(0.5, 1, size=(3, 1001))
    )
    log_sum, responsibilities = softmax(joint)
    assert np.all(np.isfinite(log_sum))
    np.testing.assert_allclose(responsibilities.sum(axis=0), 1, rtol=1e-15)


@settings(deadline=None, max_examples=30)
@given(
    k=st.integers(1, 6),
    n=st.integers(0, 600),
    spread=st.sampled_from([1e-3, 1.0, 30.0, 1e4]),
    seed=st.integers(0, 2**32 - 1),
)
def test_softmax_agrees_with_scipy(k: int, n: int, spread: float, seed: int) -> None:
    """To rounding; the input is left alone."""
    joint = spread * np.random.default_rng(seed).normal(size=(k, n))
    before = joint.copy()
    log_sum, responsibilities = softmax(joint)
    np.testing.assert_array_equal(joint, before)
    expected = logsumexp(joint, axis=0)
    np.testing.assert_allclose(log_sum, expected, rtol=1e-15, atol=1e-15 * max(1.0, spread))
    np.testing.assert_allclose(responsibilities, np.exp(joint - expected), rtol=1e-11, atol=1e-300)


def errors_in_ulps(actual: Array, exact: Array) -> Array:
    return np.abs(actual.astype(np.longdouble) - exact) / np.spacing(np.abs(exact.astype(np.float64)))


def test_the_exponential_is_accurate_to_two_units_in_the_last_place() -> None:
    """Against extended precision; zero where the result would be subnormal, one at zero, NaN for NaN."""
    x = -np.concatenate(
        [np.geomspace(1e-20, 707.9, 40_001), np.linspace(0, 708, 40_001), np.arange(1, 1000) * np.log(2) / 2]
    )
    x = x[x >= -708]
    actual = np.array([exp_nonpositive(value) for value in x])
    assert errors_in_ulps(actual, np.exp(x.astype(np.longdouble))).max() < 1.5
    assert exp_nonpositive(0.0) == 1.0
    assert [exp_nonpositive(value) for value in (-708.5, -1e10, -1e308, -np.inf)] == [0.0] * 4
    assert np.isnan(exp_nonpositive(np.nan))


def test_the_logarithm_is_accurate_to_two_units_in_the_last_place() -> None:
    """Against extended precision, near one as well; exactly zero at one."""
    x = np.concatenate(
        [np.geomspace(1e-300, 1e300, 40_001), 1 + np.geomspace(1e-15, 1, 20_001), 1 - np.geomspace(1e-15, 0.5, 20_001)]
    )
    actual = np.array([log_positive(value) for value in x])
    exact = np.log(x.astype(np.longdouble))
    assert errors_in_ulps(actual, exact).max() < 1.5
    assert log_positive(1.0) == 0.0


@pytest.mark.parametrize(
    ("d", "m", "only_full", "fused"),
    [
        (8, 8, True, True),
        (8, 64, True, True),
        (16, 65, True, False),
        (5, 8, True, True),
        (5, 16, True, False),
        (1, 1, True, True),
        (400, 8, True, False),
        (8, 8, False, False),
    ],
)
def test_the_choice_of_kernel_follows_from_the_shape(d: int, m: int, only_full: bool, fused: bool) -> None:
    """A function of three numbers; the fused kernel takes full candidates only."""
    assert use_fused(d, m, only_full) is fused
