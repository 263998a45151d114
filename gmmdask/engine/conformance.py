"""The checks that every engine must pass, for the authors of engines; needs no test framework.

`check_engine` runs them all; a test suite may parametrise over `CHECKS`. What only one kind of engine can do wrong
(lose a worker, leave something on a scheduler) is checked elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from gmmdask.engine.port import Engine
from gmmdask.engine.witness import SOURCES, FailingSource, MemorySource, RepeatingSource, Witness, expected, witness
from gmmdask.errors import EmptyDataError, GmmdaskError, MemoryLimitError, SchemaError, UnreadablePartitionError
from gmmdask.source import LEAF_ROWS, Leaf


def check_same_bytes_for_every_source(engine: Engine) -> None:
    """Require that a streamed pass over any source gives the bytes of the plain recursion."""
    for title, source in SOURCES.items():
        _same(engine.map_reduce(source, witness, (3.0,), name="bytes"), expected(source, witness, 3.0), title)


def check_same_bytes_for_held_data(engine: Engine) -> None:
    """Require the bytes of the plain recursion from repeated passes over held data, each with its own arguments."""
    for title, source in SOURCES.items():
        with engine.hold(source) as data:
            for scale in (1.0, 7.0):
                _same(data.map_reduce(witness, (scale,), name="held"), expected(source, witness, scale), title)


def check_data_of_unknown_size_are_not_held(engine: Engine) -> None:
    """Require that small data are held, and that data whose size nobody knows are read on every pass."""
    for title, in_memory in (("unequal partitions", True), ("unknown lengths", False)):
        with engine.hold(SOURCES[title]) as data:
            _require(data.in_memory is in_memory, f"{title}: in_memory is {data.in_memory}")


def check_what_is_known_beforehand_changes_no_byte(engine: Engine) -> None:
    """Require that lengths known only from reading show in no byte."""
    for title, source in SOURCES.items():
        unknown = replace(source, partitions=tuple(replace(p, group_rows=None) for p in source.partitions))
        _same(engine.map_reduce(unknown, witness, name="unknown"), expected(source, witness), title)


def check_a_full_leaf_is_not_divided(engine: Engine) -> None:
    """Require that a row group longer than a leaf is cut at leaves, wherever tasks are cut."""
    source = MemorySource.of([[LEAF_ROWS, 7], [3]])
    announced = replace(source.partitions[0], group_rows=(LEAF_ROWS + 7,))
    source = replace(source, partitions=(announced, source.partitions[1]))
    _same(engine.map_reduce(source, witness, name="full"), expected(source, witness), "a full leaf")


def check_nothing_to_summarize_is_refused(engine: Engine) -> None:
    """Require an EmptyDataError for a source without partitions, or with empty ones only."""
    for source in (MemorySource.of([]), MemorySource.of([[], []]), MemorySource.of([[], []], known=False)):
        _raises(EmptyDataError, "empty", partial(engine.map_reduce, source, witness, name="empty"))


def check_map_keeps_the_order_of_partitions(engine: Engine) -> None:
    """Require that a map visits every partition once, empty ones too, and returns the results in order."""
    for title, source in SOURCES.items():
        receipts = engine.map(source, _receipt, ("seen",), name="map")
        wanted = [("seen", position, rows) for position, rows in enumerate(source.leaf_rows)]
        _require(receipts == wanted, f"{title}: {receipts} instead of {wanted}")
    _require(engine.map(MemorySource.of([]), _receipt, ("seen",), name="map") == [], "no partitions: no results")


def check_failures_name_the_partition(engine: Engine) -> None:
    """Require that gmmdask's own errors keep their class, others are translated, and all name partition and cause."""
    own, foreign = SchemaError("column x is gone"), ZeroDivisionError("broken footer")
    for error, kind in ((own, SchemaError), (foreign, UnreadablePartitionError)):
        source = _failing(error)
        runs: tuple[Callable[[Engine, MemorySource], object], ...] = (_streamed, _held, _mapped)
        for run in runs:
            message = _raises(kind, "part-00002", partial(run, engine, source))
            _require(str(error) in message, f"the message hides the cause: {message}")
            _require(run is _held or "pass-1" in message, f"the message hides the pass: {message}")


def check_a_lack_of_memory_names_the_partition(engine: Engine) -> None:
    """Require a MemoryLimitError that names the partition where a task runs out of memory."""
    source = _failing(MemoryError("full"))
    _raises(MemoryLimitError, "part-00002", partial(_streamed, engine, source))


def check_a_failing_function_names_the_partition(engine: Engine) -> None:
    """Require a GmmdaskError with partition and cause where the caller's own function fails."""
    source = SOURCES["unequal partitions"]
    for call in (
        lambda: engine.map_reduce(source, _fails_on, (2,), name="pass-1"),
        lambda: engine.map(source, _fails_mapping, (2,), name="pass-1"),
    ):
        message = _raises(GmmdaskError, "part-00002", call)
        _require("pass-1" in message, f"the message hides the pass: {message}")
        _require("ValueError: no" in message, f"the message hides the cause: {message}")


def check_an_engine_works_on_after_a_failure(engine: Engine) -> None:
    """Require that a failed pass leaves nothing that a later one could stumble over."""
    source = SOURCES["unequal partitions"]
    with engine.hold(source) as data:
        _raises(GmmdaskError, "part-00002", lambda: data.map_reduce(_fails_on, (2,), name="again"))
        _same(data.map_reduce(witness, name="again"), expected(source, witness), "after a failure")


def check_leaves_out_of_order_are_refused(engine: Engine) -> None:
    """Require that a source is caught that yields a leaf twice, or fewer than it announced."""
    good = SOURCES["unequal partitions"]
    repeating = RepeatingSource(partitions=good.partitions, leaf_rows=good.leaf_rows, broken=1)
    _raises(GmmdaskError, "part-00001", lambda: engine.map_reduce(repeating, witness, name="repeated"))
    short = replace(good, leaf_rows=(*good.leaf_rows[:3], ()))
    _raises(UnreadablePartitionError, "part-00003", lambda: engine.map_reduce(short, witness, name="short"))


CHECKS: tuple[Callable[[Engine], None], ...] = (
    check_same_bytes_for_every_source,
    check_same_bytes_for_held_data,
    check_data_of_unknown_size_are_not_held,
    check_what_is_known_beforehand_changes_no_byte,
    check_a_full_leaf_is_not_divided,
    check_nothing_to_summarize_is_refused,
    check_map_keeps_the_order_of_partitions,
    check_failures_name_the_partition,
    check_a_lack_of_memory_names_the_partition,
    check_a_failing_function_names_the_partition,
    check_an_engine_works_on_after_a_failure,
    check_leaves_out_of_order_are_refused,
)
"""Every check; each takes an engine and raises AssertionError where it does not conform."""


def check_engine(engine: Engine) -> None:
    """Run every check against an engine.

    Raises
    ------
    AssertionError
        The engine does not conform; says in what.
    """
    for check in CHECKS:
        check(engine)


def _failing(error: Exception) -> FailingSource:
    source = SOURCES["unequal partitions"]
    return FailingSource(partitions=source.partitions, leaf_rows=source.leaf_rows, broken=2, error=error)


def _streamed(engine: Engine, source: MemorySource) -> object:
    return engine.map_reduce(source, witness, name="pass-1")


def _held(engine: Engine, source: MemorySource) -> object:
    with engine.hold(source) as data:
        return data.map_reduce(witness, name="pass-1")


def _mapped(engine: Engine, source: MemorySource) -> object:
    return engine.map(source, _receipt, ("seen",), name="pass-1")


def _receipt(partition: int, leaves: Iterator[Leaf], mark: str) -> tuple[str, int, tuple[int, ...]]:
    return mark, partition, tuple(leaf.n_rows for leaf in leaves)


def _fails_on(leaf: Leaf, partition: int) -> Witness:
    if leaf.partition == partition:
        raise ValueError("no")
    return witness(leaf)


def _fails_mapping(partition: int, leaves: Iterator[Leaf], broken: int) -> None:
    if partition == broken:
        raise ValueError("no")


def _same(found: Witness | None, wanted: Witness | None, title: str) -> None:
    both_empty = found is None and wanted is None
    equal = found is not None and wanted is not None and found.to_bytes() == wanted.to_bytes()
    _require(both_empty or equal, f"{title}: {found} instead of {wanted}")


def _raises(kind: type[Exception], text: str, call: Callable[[], object]) -> str:
    try:
        result = call()
    except kind as error:
        _require(isinstance(error, GmmdaskError), f"{error!r} is none of gmmdask's errors")
        _require(text in str(error), f"{error!r} does not mention {text!r}")
        return str(error)
    raise AssertionError(f"{kind.__name__} was due, but {result!r} came back")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)
