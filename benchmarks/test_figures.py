"""The benchmarks at tiny sizes: that they still run, and that what they compare is the same work."""

from __future__ import annotations

import re
import sys
from math import inf
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy import stats

from benchmarks import (
    dask_overhead,
    drift_alarms,
    drift_break,
    drift_rule,
    em_step,
    first_night,
    flight_alarms,
    grid_step,
    night_cost,
    onedal,
    pass_zero,
    record,
    scoring,
    select_grid,
)
from benchmarks.data import overlapping_components
from benchmarks.drift_watch import ALERT, ALERTS, VERDICT, Watch, Watched, first_alarms, ks_test_fails, nights_told
from benchmarks.drift_worlds import CHANGES, Floats, Training, World
from benchmarks.steps import held, peer_step, reference_of, seed_grid, step
from benchmarks.timing import Measure, Spread, interleaved
from gmmdask.mixture.passes import score_rows

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
        drift_alarms,
        flight_alarms,
        drift_rule,
        drift_break,
    ],
)
def test_every_benchmark_prints_tables_that_fit_the_terminal(
    benchmark_module: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert benchmark_module.main(["--small"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("| -") for line in lines) >= 1
    assert max(len(line) for line in lines if line.startswith("|")) <= record.WIDTH


@pytest.mark.parametrize(
    ("change", "feature"),
    [
        ("shift of 0.05 sd", 0),
        ("scale of 1.03", 1),
        ("×0.3048, zero far", 2),
        ("×0.3048, zero near", 2),
        ("column gone null", 2),
    ],
)
def test_a_change_of_one_feature_leaves_the_others_as_they_are(change: str, feature: int) -> None:
    """To the bit."""
    before, after = _night_without_and_with(change)
    assert (before != after).any(axis=1).tolist() == [place == feature for place in range(len(before))]


def test_a_new_cluster_takes_the_place_of_every_hundredth_row() -> None:
    before, after = _night_without_and_with("new cluster of 1 %")
    assert np.flatnonzero((before != after).all(axis=0)).tolist() == [0, 100, 200, 300, 400]
    assert (before != after).any(axis=0).sum() == 5


def test_a_cluster_that_vanished_leaves_its_rows_to_the_others() -> None:
    """Statistical: components overlap, so that some of the others' rows look like its own."""
    before, after = _night_without_and_with("cluster vanished")
    truth, spread = _world().truth, _world().spread
    shares = [score_rows(rows, truth, spread).responsibilities.mean(axis=1) for rows in (before, after)]
    assert before.shape == after.shape
    assert ((shares[1] < 0.7 * shares[0]) == (truth.weights == truth.weights.min())).all()


def _night_without_and_with(change: str) -> tuple[Floats, Floats]:
    return _world().night(), CHANGES[change](_world())


def _world() -> World:
    return World.of(0, "still", 500)


def test_every_change_meets_the_same_nights() -> None:
    """To the bit: nights with a change leave their world where it was."""
    world, untouched = _world(), _world()
    for changed in CHANGES.values():
        assert len(list(drift_alarms.changed_nights(world, changed, 2))) == 2
    assert np.array_equal(world.night(), untouched.night())


@pytest.mark.parametrize(("change", "contestant"), [("×0.3048, zero far", "unit"), ("column gone null", "features")])
def test_gmmdask_alerts_with_the_first_of_all_that_it_watches(change: str, contestant: str) -> None:
    world = _world()
    watched = Watched.begin(Watch.over(Training.of(world)))
    first = first_alarms(watched, drift_alarms.changed_nights(world, CHANGES[change], 1))
    assert first[contestant] == first[ALERT] == 1
    assert first[VERDICT] == inf
    none = watched.with_night(world.night()).alarms()
    assert none[ALERT] == any(none[name] for name in ALERTS)


@pytest.mark.parametrize(
    ("nights", "told"), [((1, 1, 1), "1"), ((3, 1, 2), "2–3"), ((1, inf, 3), "1 (2)"), ((inf,), "–")]
)
def test_nights_of_several_worlds_are_told_in_a_word(nights: tuple[float, ...], told: str) -> None:
    assert nights_told(nights) == told


@pytest.mark.parametrize("shift", [0.0, 0.14, 0.15, 0.3])
def test_the_rivals_test_fails_where_that_of_scipy_does(shift: float) -> None:
    random = np.random.default_rng(0)
    now, before = np.round(random.normal(size=300), 1), np.round(random.normal(shift, 1.0, 500), 1)
    p_value = stats.ks_2samp(now, before, method="asymp").pvalue
    assert ks_test_fails(np.sort(now), np.sort(before)) == (p_value < 0.05)


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
