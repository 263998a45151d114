"""The grid search: it finds what is there, refuses what is not, and gives the same bytes however it is run."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from threadpoolctl import threadpool_info, threadpool_limits

from gmmdask.engine import LocalEngine
from gmmdask.errors import InconsistentStatisticsError, InvalidInputError, NoSoundCandidateError
from gmmdask.mixture.stack import compile_stack
from gmmdask.mixture.statistics import SufficientStatistics
from gmmdask.training.em_loop import require_whole, summarize_leaf
from gmmdask.training.grid import search_grid
from gmmdask.training.results import Candidate, GridResult, GridSpec
from gmmdask.training.seeds import kmeans_labels
from tests.training.worlds import SMALL, searched, surveyed, three_clusters

ROOT = Path(__file__).parents[2]


def bytes_of(result: GridResult) -> list[tuple[str, str, float]]:
    return [(c.status, c.parameters.fingerprint if c.parameters else "", c.log_likelihood) for c in result.candidates]


def likelihood(values: np.ndarray, candidate: Candidate, weights: np.ndarray | float = 1.0) -> float:
    """Total log-likelihood by SciPy."""
    p = candidate.parameters
    assert p is not None
    joint = [
        np.log(w) + multivariate_normal(m, c).logpdf(values)
        for w, m, c in zip(p.weights, p.means, p.matrices, strict=True)
    ]
    return float((logsumexp(joint, axis=0) * weights).sum())


def test_three_clusters_are_found_by_every_criterion() -> None:
    values = three_clusters()
    for criterion in ("bic", "icl"):
        result = searched(values, dataclasses.replace(SMALL, criterion=criterion))
        assert result.best.n_components == 3
        assert result.passes <= SMALL.max_passes


def test_the_reported_likelihood_belongs_to_the_returned_parameters() -> None:
    """Against SciPy, to 1e-9, for every cell; criteria follow from it."""
    values = three_clusters()
    result = searched(values)
    assert len(result.candidates) == 8
    for c in result.candidates:
        assert c.log_likelihood == pytest.approx(likelihood(values, c), rel=1e-9)
        assert c.bic == pytest.approx(-2 * c.log_likelihood + c.n_parameters * np.log(len(values)))
        assert c.aic == pytest.approx(-2 * c.log_likelihood + 2 * c.n_parameters)
        assert c.icl >= c.bic - 1e-9


def test_threads_and_repetition_change_no_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal to the bit."""
    values = three_clusters()
    first = searched(values)
    assert bytes_of(searched(values, threads=2)) == bytes_of(first)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    assert bytes_of(searched(values)) == bytes_of(first)


def test_the_order_of_sets_changes_no_byte() -> None:
    """Python hashes text with another seed in every process; the order of candidates in a stack must not follow it."""
    script = (
        "from tests.training.worlds import SMALL, searched, three_clusters\n"
        "print([(c.icl, c.parameters.fingerprint) for c in searched(three_clusters(900)).candidates])"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(told) == 1


def test_native_pools_run_one_thread_in_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenMP too, whose number belongs to each thread: k-means gives other bytes with two."""
    seen = set()

    def watched(*arguments: object) -> object:
        seen.update(library["num_threads"] for library in threadpool_info())
        return kmeans_labels(*arguments)

    monkeypatch.setattr("gmmdask.training.seeds.kmeans_labels", watched)
    with threadpool_limits(limits=2):
        searched(three_clusters(300))
    assert seen == {1}


def test_another_seed_gives_other_starts_and_the_same_answer() -> None:
    other = searched(three_clusters(), dataclasses.replace(SMALL, seed=4))
    assert other.best.n_components == searched(three_clusters()).best.n_components == 3
    assert bytes_of(other) != bytes_of(searched(three_clusters()))


def test_importance_weights_choose_the_same_whatever_their_scale() -> None:
    """Weights times 1,000 leave every criterion where it was, to rounding; frequency weights do not."""
    values, weights = three_clusters(), np.random.default_rng(0).uniform(0.5, 2, size=3000)
    spec = dataclasses.replace(SMALL, weight_type="importance")
    small, large = searched(values, spec, weights), searched(values, spec, weights * 1000)
    assert small.population == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    for a, b in zip(small.candidates, large.candidates, strict=True):
        assert a.bic == pytest.approx(b.bic, rel=1e-6)
    assert searched(values, SMALL, weights * 1000).population == pytest.approx(weights.sum() * 1000)


def test_frequency_weights_equal_repeated_rows_in_the_reported_criteria() -> None:
    """The likelihood of the returned parameters over repeated rows, by SciPy."""
    values = three_clusters(600)
    weights = np.random.default_rng(0).integers(1, 4, size=600).astype(float)
    result = searched(values, SMALL, weights)
    assert result.population == weights.sum()
    assert result.best.log_likelihood == pytest.approx(likelihood(values, result.best, weights), rel=1e-9)


def test_a_sorted_lake_with_a_rare_far_cluster_finds_it() -> None:
    """One row in a thousand, ten standard deviations away, at the end of sorted data."""
    random = np.random.default_rng(0)
    values = np.concatenate([random.normal(size=(100_000, 2)), random.normal(size=(100, 2)) * 0.3 + 12])
    result = searched(values, GridSpec(n_components=(1, 2), covariance_types=("full",), seed=0))
    assert result.best.n_components == 2
    assert result.best.parameters is not None
    assert result.best.parameters.weights.min() == pytest.approx(1e-3, rel=0.3)


def test_collapsed_components_are_disqualified_with_the_reason() -> None:
    """A column that takes two values: every component that holds one of them alone is floored."""
    random = np.random.default_rng(0)
    values = np.column_stack([random.normal(size=2000), random.integers(0, 2, size=2000)])
    result = searched(values, GridSpec(n_components=(1, 3), covariance_types=("full",), seed=0))
    three = result.candidates[1]
    assert three.status == "disqualified"
    assert "reg_covar" in three.reason
    assert result.best.n_components == 1


def test_a_grid_without_a_sound_candidate_says_so_with_the_table() -> None:
    values = np.column_stack([np.random.default_rng(0).normal(size=500), np.zeros(500)])
    with pytest.raises(NoSoundCandidateError, match=r"full 1: .*reg_covar"):
        searched(values, GridSpec(n_components=(1, 2), covariance_types=("full",), seed=0))


def test_starved_components_are_dropped_and_reported() -> None:
    """Forty rows cannot feed four components of thirty rows each."""
    result = searched(three_clusters(42), GridSpec(n_components=(4,), covariance_types=("spherical",), seed=0))
    assert result.best.parameters is not None
    assert result.best.parameters.n_components < 4
    assert "starved" in result.best.reason


def test_the_edge_of_the_grid_and_small_features_are_noted() -> None:
    values = three_clusters() * [1.0, 5e-4]
    result = searched(values, GridSpec(n_components=(1, 2), covariance_types=("diag",), seed=0, reg_covar=1e-9))
    assert any("most that were tried" in note for note in result.notes)
    noted = searched(values, GridSpec(n_components=(1, 2), covariance_types=("diag",), seed=0, reg_covar=1e-10))
    assert not any("varies so little" in note for note in noted.notes)
    with surveyed(values) as (source, _):
        assert any(repr(source.features[1]) in note for note in result.notes)


def test_the_pass_budget_is_kept() -> None:
    for budget in (2, 3):
        result = searched(three_clusters(), dataclasses.replace(SMALL, max_passes=budget))
        assert result.passes == budget
    statuses = {c.status for c in searched(three_clusters(), dataclasses.replace(SMALL, max_passes=2)).candidates}
    assert statuses == {"evaluated"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_components": ()}, "empty"),
        ({"n_components": (0, 1)}, "positive"),
        ({"n_components": (400,)}, "more than the"),
        ({"covariance_types": ("round",)}, "'round'"),
        ({"max_passes": 1}, "at least 2"),
    ],
)
def test_impossible_grids_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        searched(three_clusters(300), dataclasses.replace(SMALL, **change))


def test_a_pass_that_lost_or_repeated_rows_is_caught() -> None:
    """Row count, leaves and mass are all compared with pass 0."""
    values = three_clusters()
    with surveyed(values) as (source, survey), LocalEngine().hold(source) as data:
        result = search_grid(data, survey, SMALL)
        assert result.best.parameters is not None
        stack = compile_stack([result.best.parameters], survey.reference)
        whole: SufficientStatistics = data.map_reduce(summarize_leaf, (stack,), name="test")
    assert require_whole(whole, survey, "test") is whole
    heavier = whole.sums.copy()
    stack.layout.view(heavier, "mass")[0] *= 1 + 1e-9
    for wrong in (
        dataclasses.replace(whole, n_rows=whole.n_rows + 1),
        dataclasses.replace(whole, sums=heavier),
        SufficientStatistics.identity(stack.layout),
    ):
        with pytest.raises(InconsistentStatisticsError, match="pass 0 saw 3000 rows"):
            require_whole(wrong, survey, "test")


def test_more_components_never_score_lower_on_heavy_tails() -> None:
    """On held-out rows, to 1e-3 nats per row: outliers make small components, which must not spoil a cell."""
    random = np.random.default_rng(0)
    values = random.standard_t(3, size=(20_000, 3)) @ np.array([[1, 0.9, 0], [0, 0.5, 0], [0, 0, 1.0]])
    values[:60] *= 8
    result = searched(values, GridSpec(n_components=tuple(range(1, 7)), covariance_types=("tied", "diag"), seed=0))
    for name in ("tied", "diag"):
        scores = [c.holdout_score for c in result.candidates if c.covariance_type == name]
        assert (np.diff(scores) > -1e-3).all()
