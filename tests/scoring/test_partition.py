"""A partition is scored, staged and summed by one task."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gmmdask.engine import LocalEngine
from gmmdask.errors import InvalidInputError
from gmmdask.lake import open_lake
from gmmdask.scoring import PartitionScores, ScoringTask, score_source
from gmmdask.warehouse import Attempt, open_staging
from tests.scoring.worlds import FEATURES, made_up_model, made_up_rows

MODEL = made_up_model()
DATES = (date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 3))
ROWS = (7, 0, 5)


@pytest.fixture
def lake(tmp_path: Path) -> str:
    for number, (day, n) in enumerate(zip(DATES, ROWS, strict=True)):
        columns = dict(zip(FEATURES, made_up_rows(MODEL, n, number), strict=True))
        table = pa.table({**columns, "id": np.arange(n) + 10 * number, "colour": pa.array(["red"] * n, pa.string())})
        path = tmp_path / "lake" / f"dt={day}" / "part.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(table, path, row_group_size=3)
    return str(tmp_path / "lake")


def score(lake: str, folder: Path, threads: int = 1) -> tuple[Attempt, list[PartitionScores]]:
    attempt = open_staging(str(folder)).begin("run")
    task = ScoringTask(model=MODEL, attempt=attempt, dates=DATES, id_column="id", describe=("colour",))
    source = open_lake(lake, features=FEATURES).carry("id", "colour")
    return attempt, score_source(source, LocalEngine(threads), task)


def staged(attempt: Attempt, scores: list[PartitionScores]) -> list[bytes]:
    return [Path(attempt.folder, one.receipt.path).read_bytes() for one in scores]


def test_every_row_of_every_partition_is_staged_once(lake, tmp_path):
    attempt, scores = score(lake, tmp_path / "staging")
    assert [one.receipt.rows for one in scores] == list(ROWS)
    assert [int(one.sums.statuses.sum()) for one in scores] == list(ROWS)
    rows = [row for one in scores for row in pq.read_table(Path(attempt.folder, one.receipt.path)).to_pylist()]
    expected = [(day, str(10 * k + i)) for k, (day, n) in enumerate(zip(DATES, ROWS, strict=True)) for i in range(n)]
    assert [(row["dt"], row["id"]) for row in rows] == expected


def test_scoring_again_gives_the_same_files_on_any_number_of_threads(lake, tmp_path):
    """Bits."""
    assert staged(*score(lake, tmp_path / "one")) == staged(*score(lake, tmp_path / "two", threads=2))


def test_a_missing_id_is_refused_with_its_partition(tmp_path):
    columns = dict(zip(FEATURES, made_up_rows(MODEL, 2), strict=True))
    folder = tmp_path / "lake"
    folder.mkdir()
    pq.write_table(pa.table({**columns, "id": ["x", None], "colour": ["red", "red"]}), folder / "part.parquet")
    with pytest.raises(InvalidInputError, match=r"part\.parquet.*id"):
        score(str(folder), tmp_path / "staging")
