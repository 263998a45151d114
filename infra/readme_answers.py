"""The answers in the README: its queries, asked of the demonstration as the first `make nightly` leaves it.

    python -m infra.readme_answers            write the answers into README.md
    python -m infra.readme_answers --check    only say which of them differ

Every block of SQL in the README that a block of text follows is a question with its answer.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from gmmdask.nightly.plan import warehouse_of
from gmmdask.settings import load_settings
from gmmdask.warehouse import Queries

README = Path(__file__).parents[1] / "README.md"
SETTINGS = Path(__file__).parent / "demo.toml"
LAST_DATE = date(2013, 3, 31)
QUESTION = re.compile(r"```sql\n(?P<query>.*?)```\n\n```text\n(?P<answer>.*?)```\n", re.DOTALL)
GAP = "  "


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A query of the README and the lines that stand below it."""

    query: str
    lines: tuple[str, ...]


def answers(text: str) -> list[Answer]:
    """Return the questions of a Markdown text with their answers."""
    return [
        Answer(query=found["query"], lines=tuple(found["answer"].splitlines())) for found in QUESTION.finditer(text)
    ]


def ask(warehouse: Queries, query: str) -> tuple[str, ...]:
    """Return the answer to a query as lines of text: names, then a row a line."""
    table = warehouse.query(query)
    cells = [table.column_names, *([_cell(value) for value in row.values()] for row in table.to_pylist())]
    widths = [max(len(row[column]) for row in cells) for column in range(table.num_columns)]
    right = [pa.types.is_floating(kind) or pa.types.is_integer(kind) for kind in table.schema.types]
    return tuple(_line(row, widths, right) for row in cells)


def answered(text: str, warehouse: Queries) -> str:
    """Return the text with every answer as the warehouse gives it."""

    def renew(found: re.Match[str]) -> str:
        lines = "\n".join(ask(warehouse, found["query"]))
        return f"```sql\n{found['query']}```\n\n```text\n{lines}\n```\n"

    return QUESTION.sub(renew, text)


def differences(shown: Sequence[str], asked: Sequence[str]) -> Iterator[str]:
    """Yield where two answers differ: words that are not equal, numbers that differ by more than their last digit."""
    if len(shown) != len(asked):
        yield f"{len(shown) - 1} rows are shown, and there are {len(asked) - 1}"
        return
    for ours, theirs in zip(shown, asked, strict=True):
        pairs = list(zip(ours.split(), theirs.split(), strict=False))
        if len(ours.split()) != len(theirs.split()) or not all(_agree(*pair) for pair in pairs):
            yield f"{ours.strip()!r} is shown, and the answer is {theirs.strip()!r}"


def _agree(shown: str, asked: str) -> bool:
    try:
        ours, theirs = float(shown), float(asked)
    except ValueError:
        return shown == asked
    last_digit = 10.0 ** -len(shown.partition(".")[2])
    return abs(ours - theirs) < 1.5 * last_digit


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    told = (
        cell.rjust(width) if is_right else cell.ljust(width)
        for cell, width, is_right in zip(cells, widths, right, strict=True)
    )
    return GAP.join(told).rstrip()


def main(arguments: Sequence[str]) -> int:
    """Write the answers, or say where they differ."""
    warehouse = warehouse_of(load_settings(SETTINGS))
    dates = warehouse.query("SELECT max(dt) AS last FROM publications").to_pylist()
    if dates[0]["last"] != LAST_DATE:
        print(
            f"the demonstration goes to {dates[0]['last']}; the answers are those of its first night: make clean nightly"
        )
        return 1
    text = README.read_text(encoding="utf-8")
    if "--check" not in arguments:
        README.write_text(answered(text, warehouse), encoding="utf-8")
        return 0
    found = [told for one in answers(text) for told in differences(one.lines, ask(warehouse, one.query))]
    print("\n".join(found) or f"All {len(answers(text))} answers are those of the warehouse.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
