"""The benchmarks at tiny sizes: that they still run, and that what they compare is the same work."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy import stats

from benchmarks import (
    dask_overhead,
    drift_rule,
    em_step,
    feature_alarms,
    first_night,
    grid_step,
    night_cost,
    onedal,
    pass_zero,
    record,
    scoring,
    select_grid,
)
from benchmarks.data import overlapping_components
from benchmarks.steps import held, peer_step, reference_of, seed_grid, step
from benchmarks.timing import Measure, Spread, interleaved

ROWS = overlapping_components(1_500, 4, seed=3)


def test_one_step_of_the_stacked_grid_equals_forty_single_steps() -> None:
    """To rounding: a stack may take the other kernel, and other bits with it."""
    models, reference = seed_grid(ROWS), reference_of(ROWS)
    with held(ROWS) as data:
        together = step(data, models, reference)
        alone = [step(data, [model], reference)[0] for model in models]
    assert len(together) == 40
    for ours, single in zip(together, alone, strict=True):
        for name in ("weights", "means", "covariances"):
            np.testing.assert_allclose(getattr(ours, name), getattr(single, name), rtol=1e-9, atol=1e-12)


def test_the_step_that_is_timed_equals_that_of_scikit_learn() -> None:
    """To rounding."""
    models = seed_grid(ROWS, largest=4)
    with held(ROWS) as data:
        ours = step(data, models, reference_of(ROWS))
    for own, peer in zip(ours, peer_step(ROWS, models), strict=True):
        np.testing.assert_allclose(own.weights, peer.weights_, rtol=1e-8)
        np.testing.assert_allclose(own.means, peer.means_, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(own.covariances, peer.covariances_, rtol=1e-7, atol=1e-10)


def test_a_peers_step_leaves_the_models_as_they_were_so_that_every_round_does_the_same_work() -> None:
    models = seed_grid(ROWS, largest=2)
    before = [model.means.copy() for model in models]
    first, second = peer_step(ROWS, models), peer_step(ROWS, models)
    assert all(np.array_equal(model.means, means) for model, means in zip(models, before, strict=True))
    assert all(np.array_equal(one.means_, two.means_) for one, two in zip(first, second, strict=True))


@pytest.mark.filterwarnings("default")  # a busy port, a slow event loop: what Dask warns of is not what is tested
@pytest.mark.parametrize(
    "benchmark_module",
    [
        em_step,
        grid_step,
        select_grid,
        dask_overhead,
        pass_zero,
        scoring,
        night_cost,
        first_night,
        feature_alarms,
        drift_rule,
    ],
)
def test_every_benchmark_prints_tables_that_fit_the_terminal(
    benchmark_module: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert benchmark_module.main(["--small"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("| -") for line in lines) >= 1
    assert max(len(line) for line in lines if line.startswith("|")) <= record.WIDTH


@pytest.mark.parametrize("change", feature_alarms.CHANGES)
def test_a_change_leaves_the_shape_of_a_night_and_most_of_its_values(change: str) -> None:
    """What is not meant to change does not: other features to the bit, but for the rows of a new cluster."""
    random = np.random.default_rng(0)
    before = feature_alarms.World.made(0).night(500, random)
    after = feature_alarms.CHANGES[change](before.copy(), random)
    assert after.shape == before.shape
    assert (np.delete(after, 2, axis=0) == np.delete(before, 2, axis=0)).mean() >= 0.99
    assert (change == feature_alarms.VANISHED) == np.array_equal(after, before)


def test_the_rivals_p_value_is_that_of_scipy() -> None:
    random = np.random.default_rng(0)
    now, before = np.round(random.normal(size=300), 1), np.round(random.normal(0.1, 1.0, 500), 1)
    expected = stats.ks_2samp(now, before, method="asymp").pvalue
    assert feature_alarms.ks_p_value(np.sort(now), np.sort(before)) == pytest.approx(expected)


def test_contestants_take_turns_after_a_round_that_is_not_measured() -> None:
    calls: list[str] = []

    def contestant(name: str) -> Measure:
        def measure() -> float:
            calls.append(name)
            return float(len(calls))

        return measure

    spreads = interleaved({"a": contestant("a"), "b": contestant("b")}, 2)
    assert calls == ["a", "b"] * 3
    assert spreads == {"a": Spread((3.0, 5.0)), "b": Spread((4.0, 6.0))}


def test_a_ratio_is_of_paired_repeats() -> None:
    ratio = Spread((2.0, 30.0, 5.0)).over(Spread((1.0, 10.0, 1.0)))
    assert ratio == Spread((2.0, 3.0, 5.0))
    assert str(ratio) == "3.00 (2.00–5.00)"


def test_recording_replaces_the_section_of_that_name_alone() -> None:
    page = record.replaced(record.replaced("# Page\n", "a", "one"), "b", "two")
    again = record.replaced(page, "a", "three")
    assert re.findall(r"one|two|three", again) == ["three", "two"]
    assert record.replaced(again, "a", "one") == page


def test_a_missed_requirement_is_told_by_the_exit_code() -> None:
    missed = record.Section(name="s", title="t", lines=(), missed=("too slow",))
    assert record.conclude(missed, record.Options(repeats=1), 0.0) == 1
    assert record.conclude(missed, record.Options(repeats=1, small=True), 0.0) == 0


def test_small_figures_are_not_recorded() -> None:
    with pytest.raises(SystemExit):
        record.options_of(["--small", "--record"], repeats=1)


def test_where_onedal_cannot_be_installed_it_is_left_out_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(onedal, "INSTALLED", tmp_path / ".installed")
    monkeypatch.setattr(onedal, "ENVIRONMENT", tmp_path)
    monkeypatch.setattr(onedal, "PYTHON", Path("/bin/false"))
    monkeypatch.setattr(sys, "executable", "/bin/true")
    interpreter = onedal.environment()
    with onedal.onedal_step(interpreter, ROWS, seed_grid(ROWS, 1)[0]) as contestants:
        assert contestants == {}
    assert "oneDAL is left out" in capsys.readouterr().err
