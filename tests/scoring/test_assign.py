"""Every row gets its segment, or the reason why it has none."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmmdask.errors import InvalidInputError
from gmmdask.preparation.recipe import RowStatus
from gmmdask.scoring import SegmentModel, score_leaf
from gmmdask.scoring.assign import assignments
from gmmdask.warehouse.schema import conform
from gmmdask.warehouse.staging import STAGED_ASSIGNMENTS
from tests.scoring.worlds import IDS, expected_scores, made_up_model, made_up_rows

DAY = date(2024, 2, 29)


def table_of(values: np.ndarray, model: SegmentModel) -> list[dict[str, object]]:
    ids = pa.array(range(100, 100 + values.shape[1]))
    columns = assignments(score_leaf(values, model), model, ids, DAY)
    return conform(STAGED_ASSIGNMENTS, pa.table(columns), {}).to_pylist()


@pytest.mark.parametrize("constant", [(), ("b",)])
def test_probabilities_and_densities_are_those_of_the_mixture_in_original_units(constant):
    """To rounding, against scipy row by row."""
    model = made_up_model(constant=constant)
    values = made_up_rows(model, 200)
    density, posterior = expected_scores(values, model)
    scores = score_leaf(values, model)
    np.testing.assert_allclose(scores.log_density, density, rtol=1e-10)
    np.testing.assert_allclose(scores.responsibilities.T, posterior, atol=1e-10)
    np.testing.assert_array_equal(scores.component, posterior.argmax(axis=1))


def test_a_row_of_the_table_says_what_the_model_says():
    model = made_up_model()
    values = made_up_rows(model, 60)
    density, posterior = expected_scores(values, model)
    for number, row in enumerate(table_of(values, model)):
        component = int(posterior[number].argmax())
        assert (row["dt"], row["id"], row["status"]) == (DAY, str(100 + number), "ok")
        assert (row["component"], row["segment_id"]) == (component, IDS[component])
        assert row["probability"] == max(row["probabilities"])
        assert row["probabilities"] == pytest.approx(posterior[number], abs=1e-10)
        assert row["log_density"] == pytest.approx(density[number])
        assert row["is_anomaly"] == (density[number] < -8.0)


@given(st.integers(0, 2**20), st.integers(0, 40))
def test_rows_that_cannot_be_scored_are_there_with_the_reason_and_nothing_else(seed, n):
    model = made_up_model()
    values = made_up_rows(model, n, seed, holes=0.2)
    rows = table_of(values, model)
    complete = np.isfinite(values).all(axis=0)
    assert [row["id"] for row in rows] == [str(100 + number) for number in range(n)]
    for row, column, whole in zip(rows, values.T, complete, strict=True):
        assert row["status"] == ("ok" if whole else "invalid" if np.isinf(column).any() else "missing")
        absent = {name for name, value in row.items() if value is None}
        labels = {"segment_id", "component", "probability", "probabilities", "log_density", "is_anomaly"}
        assert absent == (set() if whole else labels)


@given(st.integers(0, 2**20), st.integers(0, 60), st.data())
def test_leaves_cut_anywhere_give_the_same_rows(seed, n, data):
    """Labels equal, numbers to rounding."""
    model = made_up_model()
    values = made_up_rows(model, n, seed, holes=0.05)
    cut = data.draw(st.integers(0, n))
    whole = score_leaf(values, model)
    parts = [score_leaf(np.ascontiguousarray(part), model) for part in (values[:, :cut], values[:, cut:])]
    np.testing.assert_array_equal(np.concatenate([part.status for part in parts]), whole.status)
    np.testing.assert_array_equal(np.concatenate([part.component for part in parts]), whole.component)
    np.testing.assert_allclose(np.concatenate([part.log_density for part in parts]), whole.log_density, rtol=1e-12)


def test_a_row_so_far_away_that_its_distance_overflows_is_invalid():
    model = made_up_model()
    values = made_up_rows(model, 5)
    values[0, 2] = 1e300
    scores = score_leaf(values, model)
    assert scores.status.tolist() == [0, 0, RowStatus.INVALID, 0, 0]
    assert scores.responsibilities.shape == (3, 4)
    assert np.isfinite(scores.log_density).all()


def test_of_two_equal_components_the_first_is_taken():
    model = made_up_model()
    same = model.parameters.permuted([0, 0, 0])
    twins = SegmentModel(
        recipe=model.recipe,
        parameters=type(same)(
            structure=same.structure, weights=np.full(3, 1 / 3), means=same.means, covariances=same.covariances
        ),
        reference=model.reference,
        segment_ids=IDS,
    )
    assert score_leaf(made_up_rows(model, 20), twins).component.tolist() == [0] * 20


def test_without_a_threshold_no_row_is_judged():
    model = made_up_model(threshold=None)
    assert {row["is_anomaly"] for row in table_of(made_up_rows(model, 5), model)} == {None}


def test_segment_ids_must_name_every_component_once():
    model = made_up_model()
    with pytest.raises(InvalidInputError, match=r"segment ids \[1, 1, 2\] do not name 3 components"):
        SegmentModel(recipe=model.recipe, parameters=model.parameters, reference=model.reference, segment_ids=(1, 1, 2))
