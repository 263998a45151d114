"""Which rows a fit never sees: one in twenty, by their ids alone."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from gmmdask.lake import HeldOutRows, TrainingRows, held_out, open_lake

IDS = st.lists(st.one_of(st.none(), st.text(max_size=12)), max_size=40)


def told_by_hand(text: str | None, seed: int) -> bool:
    """Return the documented choice, in Python's own integers."""
    if text is None:
        return False
    whole, golden = 2**64, 0x9E3779B97F4A7C15
    key = int.from_bytes(blake2b(f"held out:{seed}".encode(), digest_size=8).digest(), "little")
    key = (key + sum((byte + 1) * golden ** (place + 1) for place, byte in enumerate(text.encode()))) % whole
    key = (key ^ key >> 30) * 0xBF58476D1CE4E5B9 % whole
    key = (key ^ key >> 27) * 0x94D049BB133111EB % whole
    return (key ^ key >> 31) % 20 == 0


@given(ids=IDS, seed=st.integers(0, 2**70), cut=st.integers(0, 40))
def test_rows_are_held_out_as_the_formula_says_wherever_their_array_is_cut(ids, seed, cut):
    array = pa.array(ids, pa.string())
    expected = [told_by_hand(text, seed) for text in ids]
    assert held_out(array, seed).tolist() == expected
    assert held_out(array.slice(cut), seed).tolist() == expected[cut:]
    assert held_out(pa.chunked_array([array.slice(0, cut), array.slice(cut)]), seed).tolist() == expected


def test_numbers_are_held_out_as_their_text_is():
    numbers = np.arange(5_000)
    as_text = pa.array([str(number) for number in numbers])
    np.testing.assert_array_equal(held_out(pa.array(numbers), 3), held_out(as_text, 3))


def test_one_row_in_twenty_is_held_out_for_consecutive_ids_too():
    """Statistical: within five standard deviations of a binomial count."""
    n = 100_000
    for seed in range(3):
        count = held_out(pa.array(np.arange(n)), seed).sum()
        assert abs(count - n / 20) < 5 * np.sqrt(n / 20 * 19 / 20)


def test_two_seeds_choose_independently():
    ids = pa.array(np.arange(100_000))
    both = (held_out(ids, 0) & held_out(ids, 1)).sum()
    assert abs(both - 250) < 5 * np.sqrt(250)


def test_a_fit_reads_the_other_rows_and_carries_only_what_was_asked_for(tmp_path: Path):
    table = pa.table({"id": np.arange(500), "x": np.arange(500.0), "w": np.arange(500.0), "kind": ["a", "b"] * 250})
    pq.write_table(table, tmp_path / "part.parquet", row_group_size=200)
    lake = open_lake(str(tmp_path), features=["x"], id_column="id", weight_column="w").carry("kind")
    kept = ~held_out(table["id"], 7)
    leaves = list(TrainingRows(lake=lake, id_column="id", seed=7).read(0))
    assert np.concatenate([leaf.values[0] for leaf in leaves]).tolist() == table["x"].to_numpy()[kept].tolist()
    assert np.concatenate([leaf.weights for leaf in leaves]).tolist() == table["w"].to_numpy()[kept].tolist()
    assert [leaf.start for leaf in leaves] == [0, 200, 400]
    assert {tuple(leaf.carried) for leaf in leaves} == {("kind",)}
    kinds = [kind for leaf in leaves for kind in leaf.carried["kind"].to_pylist()]
    assert kinds == table["kind"].filter(kept).to_pylist()


def test_the_fingerprint_follows_the_seed_and_the_lake(tmp_path: Path):
    pq.write_table(pa.table({"id": [1, 2], "x": [1.0, 2.0]}), tmp_path / "part.parquet")
    lake = open_lake(str(tmp_path), features=["x"], id_column="id")
    prints = {TrainingRows(lake=lake, id_column="id", seed=seed).fingerprint for seed in (0, 0, 1)}
    assert len(prints | {lake.fingerprint}) == 3


def test_what_is_held_out_is_exactly_what_training_does_not_see(tmp_path: Path):
    table = pa.table({"id": np.arange(500), "x": np.arange(500.0)})
    pq.write_table(table, tmp_path / "part.parquet", row_group_size=200)
    lake = open_lake(str(tmp_path), features=["x"], id_column="id")
    parts = [kind(lake=lake, id_column="id", seed=7) for kind in (TrainingRows, HeldOutRows)]
    seen, rest = (np.concatenate([leaf.values[0] for leaf in part.read(0)]) for part in parts)
    assert sorted([*seen, *rest]) == table["x"].to_pylist()
    assert rest.tolist() == table["x"].to_numpy()[held_out(table["id"], 7)].tolist()
    assert parts[0].fingerprint != parts[1].fingerprint
