"""Laws of the tree: what is combined with what never depends on how the work is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmmdask.engine.tree import Shape, Span, TaskSize, Tree, fold, pairwise, partition_runs, plan, reduce_shape
from gmmdask.engine.witness import MemorySource, Witness, expected, witness
from gmmdask.errors import InvalidInputError
from gmmdask.source import LEAF_ROWS, Partition

leaf_rows = st.lists(st.lists(st.integers(1, 4), max_size=9), max_size=24)


@st.composite
def sources(draw: st.DrawFn) -> MemorySource:
    """Draw partitions, and dates that stand together."""
    rows = draw(leaf_rows)
    new_date = draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    dates = [f"date-{sum(new_date[: position + 1])}" for position in range(len(rows))]
    return MemorySource.of(rows, dates, known=draw(st.booleans()))


def leaves_of(tree: Tree) -> list[Span]:
    return [tree] if isinstance(tree, Span) else [span for half in tree for span in leaves_of(half)]


def covered(source: MemorySource, span: Span) -> list[tuple[int, int]]:
    whole = {p: span.leaves or (0, len(source.leaf_rows[p])) for p in range(span.first, span.stop)}
    return [(p, index) for p, (first, stop) in whole.items() for index in range(first, stop)]


def shape_of(items: list[int | None]) -> str | None:
    """Tell the pairwise tree level by level, as the specification does."""
    level = [None if item is None else str(item) for item in items]
    while len(level) > 1:
        level = [_told(level[start : start + 2]) for start in range(0, len(level), 2)]
    return level[0] if level else None


def _told(pair: list[str | None]) -> str | None:
    told = [text for text in pair if text is not None]
    return f"({told[0]} {told[1]})" if len(told) == 2 else (told[0] if told else None)


@given(st.lists(st.one_of(st.none(), st.integers(0, 99)), max_size=70))
def test_streaming_gives_the_tree_that_is_built_level_by_level(items: list[int | None]) -> None:
    """Bits: the shape is equal, and the shape determines them."""
    stream = (None if item is None else Witness(shape=str(item), rows=1, total=0.0, scale=1.0) for item in items)
    result = pairwise(stream)
    assert (None if result is None else result.shape) == shape_of(items)


@given(sources(), st.integers(0, 60), st.one_of(st.none(), st.integers(16, 900)))
def test_a_plan_covers_every_leaf_once_and_in_order(source: MemorySource, rows: int, nbytes: int | None) -> None:
    tree = plan(source.partitions, 2, TaskSize(rows=rows, nbytes=nbytes))
    found = [] if tree is None else [leaf for span in leaves_of(tree) for leaf in covered(source, span)]
    assert found == [(p, index) for p, rows_of in enumerate(source.leaf_rows) for index in range(len(rows_of))]


@given(sources(), st.integers(0, 60), st.integers(2, 9))
def test_no_cut_and_no_fan_in_changes_the_shape(source: MemorySource, rows: int, fan_in: int) -> None:
    """Bits: the witness carries the whole shape and a sum that depends on it."""

    def summarize(span: Span) -> Witness | None:
        part = MemorySource.of(source.leaf_rows, [p.date for p in source.partitions])
        return _node(part, span)

    def combine(label: str, shape: Shape, results: list[Witness | None]) -> Witness | None:
        assert 2 <= len(results) <= fan_in
        return reduce_shape(shape, results)

    tree = plan(source.partitions, 2, TaskSize(rows=rows))
    result = None if tree is None else fold(tree, summarize, combine, fan_in=fan_in)
    assert result == expected(source, witness)


def _node(source: MemorySource, span: Span) -> Witness | None:
    """Summarise one node from scratch: what it covers, taken for a source of its own."""
    kept = set(covered(source, span))
    partitions = [[leaf for leaf in source.read(p) if (p, leaf.index) in kept] for p in range(span.first, span.stop)]
    dates = [source.partitions[p].date for p in range(span.first, span.stop)]
    by_date: dict[str, list[Witness | None]] = {}
    for date, leaves in zip(dates, partitions, strict=True):
        by_date.setdefault(date, []).append(pairwise(witness(leaf) for leaf in leaves))
    return pairwise(pairwise(values) for values in by_date.values())


@given(sources(), st.integers(2, 5))
def test_every_key_of_a_pass_is_its_own(source: MemorySource, fan_in: int) -> None:
    labels: list[str] = []

    def name(label: str, shape: Shape, results: list[str]) -> str:
        labels.append(f"combine {label}")
        return label

    tree = plan(source.partitions, 2, TaskSize(rows=1))
    if tree is not None:
        fold(tree, lambda span: labels.append(span.label) or span.label, name, fan_in=fan_in)
    assert len(set(labels)) == len(labels)


@given(sources(), st.integers(0, 40))
def test_runs_of_partitions_cover_each_once(source: MemorySource, rows: int) -> None:
    runs = partition_runs(source.partitions, 2, TaskSize(rows=rows))
    assert [p for run in runs for p in run] == list(range(len(source.partitions)))


def test_a_task_stays_within_the_size_asked_for() -> None:
    source = MemorySource.of([[5, 5, 5, 5]] * 9)
    for span in leaves_of(plan(source.partitions, 2, TaskSize(rows=10)) or Span(())):
        assert len(covered(source, span)) <= 2


def test_a_partition_of_unknown_length_has_a_task_to_itself() -> None:
    source = MemorySource.of([[5, 5]] * 6, known=False)
    tree = plan(source.partitions, 2, TaskSize(rows=1_000_000))
    assert tree is not None
    assert [span.stop - span.first for span in leaves_of(tree)] == [1] * 6


def test_planning_does_not_look_at_single_leaves() -> None:
    """Ten thousand partitions of forty thousand leaves: looking at each would take minutes."""
    partition = Partition(name="p", fingerprint="", group_rows=(40_000 * LEAF_ROWS,))
    tree = plan([partition] * 10_000, 8, TaskSize(rows=40_000 * 40_000 * LEAF_ROWS))
    assert tree is not None
    assert len(leaves_of(tree)) <= 1000


def test_a_date_in_two_places_is_refused() -> None:
    source = MemorySource.of([[1], [1], [1]], ["a", "b", "a"])
    with pytest.raises(InvalidInputError, match=r"'part-00002' at position 2 has the date 'a'.*Order"):
        plan(source.partitions, 2, TaskSize(rows=1))
