"""The report of a night: made of what was published and the model that the registry keeps, and written every night."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path

import fsspec
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

import gmmdask.report
from gmmdask.cli import app
from gmmdask.errors import GmmdaskError, UnknownNameError
from gmmdask.nightly import (
    export_night_model,
    load_night_model,
    name_segment,
    rescore_dates,
    run_night,
    write_missing_reports,
)
from gmmdask.nightly.reporting import LOOKED_BACK, report_night
from gmmdask.nightly.summary import print_night
from gmmdask.nightly.trend import write_trend
from gmmdask.settings import Settings, load_settings
from tests.nightly.lakes import ROWS, birds, day, write_day, write_settings, write_world
from tests.nightly.test_night import contents, copied, no_engine, rows

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
    page = Path(report_night(settings, tmp_path / "report.html")).read_text(encoding="utf-8")
    assert night.plan.run_id in page
    assert "birds" in page
    again = report_night(settings, tmp_path / "again.html", night.plan.run_id)
    assert Path(again).read_text(encoding="utf-8") == page


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
    path = Path(write_trend(settings, tmp_path / "trend.html"))
    first = path.read_text(encoding="utf-8")
    assert "2024-01-01" in first
    assert Path(write_trend(settings, path)).read_text(encoding="utf-8") == first
    assert [found.name for found in tmp_path.iterdir()] == ["trend.html"]


@pytest.mark.parametrize("name", ["report", "trend", "export"])
def test_pages_and_models_can_be_written_to_an_address(published, tmp_path: Path, monkeypatch, name: str):
    """The store stands in for a bucket; no folder of the address's name appears here."""
    settings, _ = published
    monkeypatch.chdir(tmp_path)
    file = str(Path(settings.source.uri).parent / "birds.toml")
    address = f"memory://bucket-{name}/there/page"
    done = CliRunner().invoke(app, [name, file, *([] if name == "export" else ["-o"]), address])
    assert done.exit_code == 0, done.stderr
    assert address in done.stdout
    assert fsspec.filesystem("memory").size(f"/bucket-{name}/there/page") > 1_000
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("model", ["", "../../x", "ffffffffffff"])
def test_a_model_that_is_not_known_is_not_exported(published, tmp_path: Path, model: str):
    settings, _ = published
    with pytest.raises(UnknownNameError, match=f"there is no model '{re.escape(model)}'"):
        export_night_model(settings, tmp_path / "model.joblib", model)
    assert list(tmp_path.iterdir()) == []


WRITTEN = {'reports = "none"': ""}


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    """A world after a night that wrote its report."""
    root = tmp_path_factory.mktemp("first")
    run_night(write_world(root, days=1, changes={**WRITTEN, "n_components = [1, 2, 3]": "n_components = [2]"}))
    return root


@pytest.fixture
def world(first, tmp_path) -> tuple[Path, Settings]:
    return tmp_path, copied(first, tmp_path)


def reports(root: Path) -> dict[str, str]:
    """The pages that lie in the folder of the reports, by name; nothing else may lie there."""
    found = [path for path in (root / "house" / "reports").rglob("*") if path.is_file()]
    return {path.relative_to(root / "house" / "reports").as_posix(): path.read_text(encoding="utf-8") for path in found}


def runs(settings: Settings) -> list[dict]:
    return sorted(rows(settings, "runs"), key=lambda run: run["finished_at"])


def told(night, settings: Settings) -> str:
    console = Console(file=io.StringIO(), width=1000)
    print_night(night, settings, console)
    return console.file.getvalue()


def test_a_night_leaves_its_report_where_its_row_says(first):
    settings = load_settings(first / "birds.toml")
    (run,) = runs(settings)
    assert run["report_uri"] == str(first / f"house/reports/birds/2024-01-01-{run['run_id']}.html")
    ((name, page),) = reports(first).items()
    assert name == f"birds/2024-01-01-{run['run_id']}.html"
    assert page == Path(report_night(settings)).read_text(encoding="utf-8")
    assert run["run_id"] in page


def test_every_run_has_a_report_of_its_own_late_dates_and_rescored_ones_too(world):
    root, settings = world
    write_day(root, 2)
    run_night(settings)
    write_day(root, 1)
    write_day(root, 3)
    night = run_night(settings, refit=True)
    rescore_dates(settings, day(0), day(1))
    found = runs(settings)
    assert {run["kind"] for run in found} == {"night", "repeat", "rescore"}
    assert sorted(reports(root)) == sorted(f"birds/{run['dt']}-{run['run_id']}.html" for run in found)
    assert all(run["run_id"] in reports(root)[f"birds/{run['dt']}-{run['run_id']}.html"] for run in found)
    assert f"house/reports/birds/2024-01-04-{night.plan.run_id}.html" in told(night, settings)


def test_a_report_that_is_missing_is_written_by_the_next_call_whatever_that_does(world):
    root, settings = world
    before = reports(root)
    shutil.rmtree(root / "house" / "reports")
    # The copied world's rows name the first one's folder; a run of its own names this one.
    write_day(root, 1)
    run_night(settings)
    own = reports(root)
    assert len(own) == 1
    shutil.rmtree(root / "house" / "reports")
    assert run_night(settings, engines=no_engine).plan.state == "published"
    assert reports(root) == own
    assert write_missing_reports(settings) == ()
    assert len(before) == 1


def test_a_report_that_cannot_be_written_costs_no_night_and_is_written_once_it_can(world):
    root, settings = world
    shutil.rmtree(root / "house" / "reports")
    (root / "house" / "reports").write_text("in the way")
    write_day(root, 1)
    night = run_night(settings)
    assert night.release is not None
    (report,) = night.reports
    assert report.trouble
    shown = " ".join(told(night, settings).split())
    assert f"Run {night.plan.run_id} is published, and its report was not written (the report of run" in shown
    assert f"gmmdask report SETTINGS --run {night.plan.run_id}" in shown
    (root / "house" / "reports").unlink()
    assert [one.trouble for one in run_night(settings, engines=no_engine).reports] == [""]
    assert len(reports(root)) == 1


def test_a_page_that_cannot_be_drawn_costs_no_night(world, monkeypatch):
    root, settings = world
    write_day(root, 1)

    def fail(*arguments, **options):
        raise KeyError("[red]a bug[/]")

    monkeypatch.setattr(gmmdask.report, "render_report", fail)
    night = run_night(settings)
    assert [one.trouble for one in night.reports] == [
        f"Run {night.plan.run_id} is published, and its report was not written (KeyError: '[red]a bug[/]')"
    ]
    assert "[red]a bug[/]" in told(night, settings)
    assert len(rows(settings, "publications")) == 2


def test_reports_can_be_turned_off_and_change_nothing_that_is_published(first, tmp_path):
    """Rows of every table and view."""
    shutil.copytree(first / "lake", tmp_path / "lake")
    path = write_settings(tmp_path, {"n_components = [1, 2, 3]": "n_components = [2]"})
    settings = load_settings(path)
    night = run_night(settings)
    assert (night.reports, runs(settings)[0]["report_uri"]) == ((), None)
    assert not (tmp_path / "house" / "reports").exists()
    assert contents(settings) == contents(load_settings(first / "birds.toml"))
    assert "  report  " not in told(night, settings)
    asked = report_night(settings)
    assert asked == str(tmp_path / f"house/reports/birds/2024-01-01-{night.plan.run_id}.html")
    assert Path(asked).exists()


def test_reports_lie_wherever_fsspec_reaches(first, tmp_path):
    shutil.copytree(first / "lake", tmp_path / "lake")
    written = {
        'reports = "none"': 'uri = "memory://reports-of-a-test"',
        "n_components = [1, 2, 3]": "n_components = [2]",
    }
    night = run_night(load_settings(write_settings(tmp_path, written)))
    uri = f"memory://reports-of-a-test/birds/2024-01-01-{night.plan.run_id}.html"
    assert [(one.uri, one.trouble) for one in night.reports] == [(uri, "")]
    with fsspec.open(uri, "rt", encoding="utf-8") as file:
        assert night.plan.run_id in file.read()


def test_only_the_runs_published_last_are_looked_after(world, monkeypatch):
    """Whoever clears old reports away does not get them back."""
    root, settings = world
    monkeypatch.setattr("gmmdask.nightly.reporting.LOOKED_BACK", 1)
    for number in (1, 2):
        write_day(root, number, birds(number, 60))
        run_night(settings)
    shutil.rmtree(root / "house" / "reports")
    run_night(settings)
    (name,) = reports(root)
    assert name.startswith("birds/2024-01-03-")
    assert LOOKED_BACK > 1


def test_a_name_is_in_the_last_report_at_once_and_older_ones_stay_as_they_were(world):
    root, settings = world
    for number in (1, 2):
        write_day(root, number, birds(number, 60))
        run_night(settings)
    renewed = name_segment(settings, 1, "Night owls")
    assert renewed.uri == runs(settings)[-1]["report_uri"]
    assert {name: "Night owls" in page for name, page in reports(root).items()} == {
        f"birds/{run['dt']}-{run['run_id']}.html": run["dt"] == day(2) for run in runs(settings)
    }


def test_every_night_renews_the_trend_page_beside_its_reports(first, tmp_path):
    settings = copied(first, tmp_path)
    page = tmp_path / "house" / "reports" / "birds" / "trend.html"
    text = (tmp_path / "birds.toml").read_text().replace("trend = false", "trend = true")
    (tmp_path / "birds.toml").write_text(text)
    settings = load_settings(tmp_path / "birds.toml")
    write_day(tmp_path, 1)
    night = run_night(settings)
    assert (night.trend.uri, night.trend.trouble) == (str(page), "")
    before = page.read_text(encoding="utf-8")
    assert before == Path(write_trend(settings, tmp_path / "asked.html")).read_text(encoding="utf-8")
    page.unlink()
    run_night(settings, engines=no_engine)  # as after a night that was killed before it wrote the page
    assert page.read_text(encoding="utf-8") == before


def test_a_trend_page_that_cannot_be_written_costs_no_night_and_is_told(world):
    root, settings = world
    settings = settings.model_copy(update={"report": settings.report.model_copy(update={"trend": True})})
    (root / "house" / "reports" / "birds").mkdir(parents=True, exist_ok=True)
    (root / "house" / "reports" / "birds" / "trend.html").mkdir()
    write_day(root, 1)
    night = run_night(settings)
    assert night.release is not None
    assert night.trend.trouble.startswith("The trend page was not written (the trend of 'birds' cannot be written")
    assert "gmmdask trend SETTINGS" in " ".join(told(night, settings).split())


def test_where_retrainings_alone_have_reports_other_runs_name_none(first, tmp_path):
    copied(first, tmp_path)
    written = {'reports = "none"': 'reports = "retrainings"', "n_components = [1, 2, 3]": "n_components = [2]"}
    settings = load_settings(write_settings(tmp_path, written))
    for number, refit in ((1, False), (2, True)):
        write_day(tmp_path, number, birds(number, 60))
        run_night(settings, refit=refit)
    assert [run["report_uri"] is not None for run in runs(settings)] == [True, False, True]
    last = runs(settings)[-1]["run_id"]
    assert f"birds/2024-01-03-{last}.html" in reports(tmp_path)
