"""A challenger's segments have the champion's ids, whatever order its components came in."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from gmmdask.nightly.identity import continue_ids, fresh_ids
from gmmdask.scoring import score_leaf
from gmmdask.training.reservoir import Reservoir
from tests.scoring.worlds import IDS, made_up_model, made_up_rows


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_segments_come_in_the_order_of_their_ids_and_rows_stay_in_theirs(order: tuple[int, ...]) -> None:
    champion = made_up_model()
    values = made_up_rows(champion, 300)
    rows = Reservoir(
        capacity=300,
        keys=np.arange(300, dtype=np.uint64),
        positions=np.array([np.zeros(300, dtype=np.int64), np.arange(300)]),
        values=values,
        weights=np.ones(300),
    )
    challenger = replace(champion, parameters=champion.parameters.permuted(list(order)), segment_ids=(1, 2, 3))
    found, alignment = continue_ids(champion, challenger, rows, greatest_id=9)
    assert found.segment_ids == alignment.segment_ids == tuple(sorted(IDS))
    labels = [
        np.array(model.segment_ids)[score_leaf(values, model).responsibilities.argmax(axis=0)]
        for model in (champion, found)
    ]
    np.testing.assert_array_equal(*labels)


def test_a_model_that_cannot_be_compared_has_ids_that_none_had() -> None:
    assert fresh_ids(made_up_model(), greatest_id=9).segment_ids == (10, 11, 12)
