"""Render reports in Chromium, make sure that every figure drew, and leave pages and pictures in build/.

`make report-check` runs it: on a made-up run as large as a page must bear, on a
made-up year of nights, and on the demonstration where it was run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from gmmdask.nightly import load_night_model
from gmmdask.report import latest_run, render_report
from gmmdask.report.trend import render_trend
from gmmdask.settings import load_settings
from gmmdask.warehouse import open_warehouse
from tests.report import years
from tests.report.browser import ABSENT, CHROMIUM, render
from tests.report.worlds import RUN, full_wish, made_up_alignment, publish
from tests.report.years import publish_year

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build"
DEMONSTRATION = ROOT / "infra" / "demo.toml"
CONSOLE = Console(highlight=False, soft_wrap=True)


def pages() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of every report that can be made here."""
    with TemporaryDirectory() as folder:
        world = publish(Path(folder), full_wish())
        yield (
            "report-large",
            render_report(world.warehouse, RUN, model=world.model, sample=world.rows, alignment=made_up_alignment(12)),
        )
        yield "trend-year", render_trend(publish_year(Path(folder)), years.SEGMENTATION)
    settings = load_settings(DEMONSTRATION)
    path = Path(settings.warehouse.uri.removeprefix("duckdb://"))
    if path.exists():
        yield "report-demonstration", demonstration()
        yield "trend-demonstration", render_trend(open_warehouse(settings.warehouse.uri), settings.segmentation.name)
    else:
        CONSOLE.print("The demonstration has no warehouse yet: `make nightly` makes one.")


def demonstration() -> str:
    settings = load_settings(DEMONSTRATION)
    warehouse = open_warehouse(settings.warehouse.uri)
    run_id = latest_run(warehouse, settings.segmentation.name)
    (run,) = warehouse.query("SELECT model_id FROM runs WHERE run_id = $run_id", {"run_id": run_id}).to_pylist()
    model = load_night_model(settings, run["model_id"])
    return render_report(warehouse, run_id, model=model.segments, sample=model.sample, alignment=model.alignment)


def faults(name: str, page: str) -> list[str]:
    """Draw a page, and return what is wrong with it."""
    found = render(page, BUILD / f"{name}.png")
    for figure, marks in found.marks.items():
        CONSOLE.print(f"  {figure:20} {marks:3} traces, {found.widths[figure]} pixels wide")
    wrong = [f"{figure} did not draw" for figure, marks in found.marks.items() if not marks]
    wrong += [f"{found.overflow} pixels stick out on the right"] if found.overflow > 0 else []
    wrong += [found.trouble] if found.trouble else []
    return wrong + ([] if len(found.marks) >= 4 else [f"only {len(found.marks)} figures are there"])


def main() -> int:
    if CHROMIUM is None:
        CONSOLE.print(ABSENT)
        return 1
    BUILD.mkdir(exist_ok=True)
    wrong = []
    for name, page in pages():
        (BUILD / f"{name}.html").write_text(page, encoding="utf-8")
        CONSOLE.print(f"build/{name}.html, build/{name}.png ({len(page) / 1e6:.1f} MB)")
        wrong += [f"{name}: {fault}" for fault in faults(name, page)]
    CONSOLE.print("\n".join(wrong) or "Every figure drew.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
