"""The report of a night: made of what was published and the model that the registry keeps."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from gmmdask.errors import GmmdaskError
from gmmdask.nightly import load_night_model, run_night
from gmmdask.nightly.reporting import report_night
from gmmdask.nightly.trend import write_trend
from tests.nightly.lakes import ROWS, write_world

DAYS = 2
INCOMPLETE = -(-ROWS // 20)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory):
    settings = write_world(tmp_path_factory.mktemp("world"), days=DAYS)
    return settings, run_night(settings)


def test_a_model_keeps_a_sample_of_the_rows_it_was_trained_on(published):
    """All complete rows of a small lake, bit by bit, in any order."""
    settings, night = published
    sample = load_night_model(settings, night.release.publications[0].model_id).sample
    (run,) = night.release.tables["runs"].to_pylist()
    assert sample.shape == (2, run["training_rows"])
    assert 0.9 < sample.shape[1] / (DAYS * (ROWS - INCOMPLETE)) < 1  # the others are held out
    assert np.isfinite(sample).all()
    assert len(np.unique(sample, axis=1).T) == sample.shape[1]


def test_the_report_tells_of_the_last_run_and_draws_its_rows(published, tmp_path: Path):
    settings, night = published
    path = report_night(settings, tmp_path / "report.html")
    page = path.read_text(encoding="utf-8")
    assert night.plan.run_id in page
    assert "birds" in page
    assert page == report_night(settings, tmp_path / "again.html", night.plan.run_id).read_text(encoding="utf-8")


def test_an_unknown_run_is_refused_and_nothing_written(published, tmp_path: Path):
    with pytest.raises(GmmdaskError, match="0123456789abcdef"):
        report_night(published[0], tmp_path / "report.html", "0123456789abcdef")
    assert list(tmp_path.iterdir()) == []


def test_a_lost_model_is_named(tmp_path: Path):
    settings = write_world(tmp_path, days=1)
    night = run_night(settings)
    shutil.rmtree(settings.registry.uri)
    with pytest.raises(GmmdaskError, match=night.release.publications[0].model_id):
        report_night(settings, tmp_path / "report.html")


def test_the_trend_is_written_from_the_warehouse_alone_and_replaced_by_the_next(published, tmp_path: Path):
    settings, _ = published
    path = write_trend(settings, tmp_path / "trend.html")
    first = path.read_text(encoding="utf-8")
    assert "2024-01-01" in first
    assert write_trend(settings, path).read_text(encoding="utf-8") == first
    assert [found.name for found in tmp_path.iterdir()] == ["trend.html"]
