"""select(): the same grid from any kind of data, a table to read, a model to use, a picture to look at."""

from __future__ import annotations

from pathlib import Path

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest

from gmmdask import GaussianMixture, open_lake, select
from gmmdask.errors import InvalidInputError
from gmmdask.selection import COLUMNS
from tests.training.worlds import three_clusters

GRID = {"n_components": range(1, 5), "covariance_types": ("spherical", "full"), "random_state": 1}
ROWS = three_clusters(1200)


@pytest.fixture(scope="module")
def selection():
    return select(ROWS, **GRID)


def test_the_winner_is_a_fitted_estimator(selection):
    """Its score is the likelihood in the table, to rounding; its labels are the three clusters."""
    model = selection.best_model
    assert isinstance(model, GaussianMixture)
    assert (model.n_components, model.covariance_type) == (3, "spherical")
    row = selection.table.loc[selection.table.is_best].squeeze()
    assert model.score(ROWS) * len(ROWS) == pytest.approx(row.log_likelihood, rel=1e-10)
    assert model.bic(ROWS) == pytest.approx(row.bic, rel=1e-10)
    labels = model.predict(ROWS).reshape(3, 400)
    modes = [np.bincount(part).argmax() for part in labels]
    assert sorted(modes) == [0, 1, 2]
    assert (labels == np.array(modes)[:, None]).mean() > 0.99


def test_what_is_to_know_of_the_columns_comes_first_among_the_notes(selection):
    assert selection.warnings == ()
    frame = pd.DataFrame(ROWS, columns=["x", "y"]).assign(
        fixed=1.0, twice=ROWS[:, 0] * 3 - 1, two=np.arange(len(ROWS)) % 2
    )
    noted = select(frame, n_components=[1, 2], covariance_types=["spherical"], random_state=0)
    assert [note.split(". ")[0] for note in noted.notes[:3]] == [
        "Without variation: fixed (always 1)",
        "Told twice: twice (repeats x, up to its unit)",
        "Of few values: two (2 different values)",
    ]
    assert not any("varies so little" in note for note in noted.notes), "no scale helps where nothing varies"
    assert noted.warnings == noted.notes[:3]


def test_the_table_has_a_row_for_every_candidate(selection):
    assert list(selection.table.columns) == [*COLUMNS, "is_best"]
    assert len(selection.table) == 8
    assert selection.table.is_best.sum() == 1
    assert set(selection.table.status) <= {"polished", "evaluated", "disqualified"}
    assert 2 <= selection.passes <= 6
    assert repr(selection).startswith("Selection(spherical with 3 components by bic, 8 candidates")


def test_any_kind_of_data_gives_the_same_grid(selection, tmp_path: Path):
    """Arrays and frames to the bit; other partitionings sum in another order and draw another sample: 1e-3 per row for the true size."""
    frame = pd.DataFrame(ROWS, columns=["a", "b"])
    frame.to_parquet(tmp_path / "part.parquet")
    pd.testing.assert_frame_equal(select(frame, **GRID).table, selection.table)
    for data in (da.from_array(ROWS, chunks=(500, 2)), dd.from_pandas(frame, npartitions=3), open_lake(tmp_path)):
        other = select(data, **GRID)
        assert (other.best_model.n_components, other.best_model.covariance_type) == (3, "spherical")
        difference = other.table.log_likelihood - selection.table.log_likelihood
        assert np.abs(difference[selection.table.n_components == 3]).max() < 1e-3 * len(ROWS)


def test_the_same_seed_gives_the_same_table_and_a_generator_is_accepted(selection):
    pd.testing.assert_frame_equal(select(ROWS, **GRID).table, selection.table)
    for state in (np.random.default_rng(0), np.random.RandomState(0), None):
        found = select(ROWS, n_components=3, covariance_types="spherical", random_state=state)
        assert found.best_model.fit(ROWS).converged_


@pytest.mark.parametrize("criterion", ["bic", "aic", "icl", "holdout"])
def test_every_criterion_chooses_its_own_best_and_is_drawn(criterion: str):
    found = select(ROWS, criterion=criterion, **GRID)
    values = -found.table.holdout_score if criterion == "holdout" else found.table[criterion]
    assert found.table.is_best[values.where(found.table.status != "disqualified").idxmin()]
    figure = found.plot()
    drawn = {annotation.text.partition(" (")[0].lower() for annotation in figure.layout.annotations}
    assert {"bic", "aic"} <= drawn
    assert len(figure.data) == 3 * len(drawn)
    assert "won by" in figure.layout.title.text


def test_weights_of_zero_are_absent(selection):
    """To the bit: rows of weight zero, whatever they hold."""
    extended = np.concatenate([ROWS, np.full((5, 2), 1e6)])
    weights = np.concatenate([np.ones(len(ROWS)), np.zeros(5)])
    found = select(extended, sample_weight=weights, **GRID)
    np.testing.assert_allclose(found.table.log_likelihood, selection.table.log_likelihood, rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"criterion": "elbow"}, "'elbow'"),
        ({"n_components": [1.5]}, "whole numbers"),
        ({"n_components": []}, "empty"),
        ({"n_components": [0]}, "positive"),
        ({"n_components": [5000]}, "more than"),
        ({"covariance_types": ["round"]}, "'round'"),
        ({"max_passes": 1}, "at least 2"),
        ({"max_passes": "3"}, "'3'"),
        ({"covariance_types": None}, "None"),
        ({"n_components": None}, "whole numbers"),
        ({"random_state": "a"}, "'a'"),
        ({"random_state": -1}, "-1"),
        ({"reg_covar": -1.0}, "reg_covar"),
        ({"weight_type": "Importance"}, "Importance"),
        ({"sample_weight": -np.ones(1200)}, "[Nn]egative"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(change: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        select(ROWS, **{**GRID, **change})


def test_data_that_cannot_be_fitted_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        select(np.where(ROWS > 0, ROWS, np.nan), **GRID)
    with pytest.raises(InvalidInputError, match=r"at least 5 rows|more than"):
        select(ROWS[:3], **GRID)
