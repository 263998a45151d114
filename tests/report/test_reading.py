"""What a report tells of a run is what a plain count over its rows finds."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from gmmdask.errors import UnknownNameError, WarehouseError
from gmmdask.report import latest_run
from gmmdask.report.reading import read_findings
from gmmdask.warehouse.duckdb_file import DuckDBFile
from tests.report.worlds import DESCRIBED, NIGHT, RUN, SEGMENTATION, Wish, publish


def test_core_boundary_and_rest_are_counted_by_probability_and_margin(world):
    found = read_findings(world.warehouse, RUN)
    ranked = np.sort(world.scores.responsibilities, axis=0)
    best, second, component = ranked[-1], ranked[-2], world.scores.component
    for position in range(3):
        own = component == position
        certainty = found.certainty[position]
        assert certainty.core == (own & (best >= 0.9)).sum()
        assert certainty.boundary == (own & (best - second < 0.2)).sum()
        assert certainty.rows == own.sum()
    assert found.core_rows == (best >= 0.9).sum()


def test_the_neighbour_is_where_boundary_rows_would_go_otherwise(world):
    found = read_findings(world.warehouse, RUN)
    order = np.argsort(-world.scores.responsibilities, axis=0)
    ranked = np.sort(world.scores.responsibilities, axis=0)
    is_near = ranked[-1] - ranked[-2] < 0.2
    neighbours = [np.bincount(order[1, is_near & (order[0] == p)], minlength=3) for p in range(3)]
    assert any(counts.sum() for counts in neighbours)
    for position, counts in enumerate(neighbours):
        told = found.certainty[position].neighbour
        assert told is None if not counts.sum() else counts[told] == counts.max()


def test_the_bins_of_the_densities_hold_every_row_once(world):
    found = read_findings(world.warehouse, RUN).densities
    values = world.scores.log_density
    expected, _ = np.histogram(
        np.clip(values, found.low, None), bins=found.low + found.width * np.arange(len(found.counts) + 1)
    )
    assert sum(found.counts) == len(values)
    assert np.abs(np.array(found.counts) - expected).sum() <= 2, "but for values on an edge"


def test_the_strangest_rows_are_those_of_lowest_density(world):
    found = read_findings(world.warehouse, RUN).strangest
    lowest = np.sort(world.scores.log_density)[: len(found)]
    assert [row["log_density"] for row in found] == lowest.tolist()
    scored = np.flatnonzero(world.scores.scored)
    assert found[0]["id"] == f"customer-{scored[world.scores.log_density.argmin()]:05d}"


def test_features_come_in_the_order_in_which_they_tell_segments_apart(world):
    profiles = read_findings(world.warehouse, RUN).profiles
    rows, component = world.rows[:, world.scores.scored], world.scores.component
    between = [
        sum((component == p).mean() * (values[component == p].mean() - values.mean()) ** 2 for p in range(3))
        / values.var()
        for values in rows
    ]
    features = world.model.recipe.features
    assert profiles.features == tuple(features[number] for number in np.argsort(between)[::-1])
    assert profiles.described == DESCRIBED


def test_differences_are_in_standard_deviations_of_the_whole(world):
    profiles = read_findings(world.warehouse, RUN).profiles
    values, component = world.rows[1, world.scores.scored], world.scores.component
    expected = (values[component == 2].mean() - values.mean()) / values.std()
    assert profiles.difference(3, world.model.recipe.features[1]) == pytest.approx(expected, rel=1e-9)


def test_frequent_values_come_first(world):
    shares = [share for _, share in read_findings(world.warehouse, RUN).profiles.categories[None, DESCRIBED[0]]]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1.0)


def test_a_night_that_kept_its_model_is_set_against_the_night_that_trained_it(tmp_path):
    first = publish(tmp_path, Wish(warnings=["Without variation: x."]))
    later = Wish(has_grid=False, seed=0, run_id="feedfacefeedface", dt=NIGHT + timedelta(days=1), n_rows=300)
    second = publish(tmp_path, later)
    found = read_findings(second.warehouse, later.run_id)
    assert found.origin is not None
    assert found.origin.run_id == RUN
    shares = [float((first.scores.component == position).mean()) for position in range(3)]
    assert [one.earlier_share for one in found.segments] == pytest.approx(shares)
    assert found.best is not None
    assert found.best.n_components == 3
    assert found.warnings == read_findings(first.warehouse, RUN).warnings == ("Without variation: x.",)
    assert read_findings(first.warehouse, RUN).origin is None
    assert latest_run(second.warehouse, SEGMENTATION) == later.run_id


def test_labels_that_were_replaced_and_removed_leave_the_rest_of_the_findings(tmp_path):
    publish(tmp_path)
    again = publish(tmp_path, Wish(run_id="feedfacefeedface", n_rows=200))
    assert again.warehouse.remove_superseded() == 600
    found = read_findings(again.warehouse, RUN)
    assert not found.certainty
    assert found.densities is None
    assert found.core_rows is None
    assert len(found.segments) == 3


def test_an_unknown_run_segmentation_or_warehouse_is_an_error(world, tmp_path):
    with pytest.raises(UnknownNameError, match="'nothing'"):
        read_findings(world.warehouse, "nothing")
    with pytest.raises(UnknownNameError, match="'flights'"):
        latest_run(world.warehouse, "flights")
    with pytest.raises(WarehouseError):
        read_findings(DuckDBFile(path=str(tmp_path / "none.duckdb")), RUN)
