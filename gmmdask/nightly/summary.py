"""What a night found, for whoever looks at the terminal in the morning. Reads a release; computes nothing new."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gmmdask.nightly.label import counted
from gmmdask.nightly.model import bundle_uri
from gmmdask.nightly.night import Night
from gmmdask.nightly.trend import trend_uri
from gmmdask.settings import Settings
from gmmdask.warehouse import Release

SHOWN_FEATURES, SHOWN_ALARMS = 5, 3
WIDEST_NAME = 40
Row = Mapping[str, Any]


def print_night(night: Night, settings: Settings, console: Console) -> None:
    """Print what a night did, what the segments look like, and where to look."""
    for release in night.resumed:
        console.print(f"Published first, computed before: {_span(release)} of [bold]{release.segmentation}[/].")
    _print_run(night, settings, console)
    for report in (*night.reports, *(one for repeat in night.repeats for one in repeat.reports)):
        if report.trouble:
            console.print(f"[bold]{escape(report.trouble)}[/]: gmmdask report SETTINGS --run {report.run_id}")
    if night.trend is not None and night.trend.trouble:
        console.print(f"[bold]{escape(night.trend.trouble)}[/]: gmmdask trend SETTINGS")
    for repeat in night.repeats:
        if repeat.release is not None:
            (run,) = repeat.release.tables["runs"].to_pylist()
            console.print(
                f"Late or rewritten: {_span(repeat.release)}, {run['rows_total']:,} rows, labelled by model "
                f"{run['model_id']}, the champion in force before."
            )
    if night.cost is not None:
        console.print(f"[bold]Cost[/]: all of it {night.cost}.")


def _print_run(night: Night, settings: Settings, console: Console) -> None:
    if night.release is None:
        _print_nothing(night, settings, console)
        return
    tables = {name: table.to_pylist() for name, table in night.release.tables.items()}
    (run,) = tables["runs"]
    console.print(_facts(night.release, run, tables))
    print_segments(tables, settings, console)
    console.print(_where(settings, run), soft_wrap=True)


def print_segments(tables: Mapping[str, Sequence[Row]], settings: Settings, console: Console) -> None:
    """Print what segments look like, out of the rows of `segments` and `segment_profiles`."""
    if tables["segments"]:
        console.print("\n[bold]Segments[/]: rows, and means in original units", _segments(tables, settings), sep="\n")
    if counted(settings):
        console.print("[bold]Most frequent[/] in each, with its share", _described(tables, settings), sep="\n")


def _print_nothing(night: Night, settings: Settings, console: Console) -> None:
    plan = night.plan
    if plan.state == "nothing new":
        dates = plan.lake.dates
        console.print(
            f"Nothing to do: the lake has no partition of {plan.dt}; its dates go from {dates[0]} to {dates[-1]}."
        )
        return
    console.print(
        f"Nothing to do: {plan.dt} of [bold]{settings.segmentation.name}[/] is published as run {plan.run_id}, "
        "and neither its files nor these settings have changed since that run."
    )


def _facts(release: Release, run: Row, tables: Mapping[str, Sequence[Row]]) -> Table:
    grid = tables["grid"]
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column()
    facts.add_row("Published", f"{release.segmentation}, {_span(release)}")
    facts.add_row("Run", f"{run['run_id']}, model {run['model_id']}")
    facts.add_row("Rows", _rows(run))
    for winner in (row for row in grid if row["is_best"]):
        facts.add_row("Winner", _winner(winner, grid, run))
    for name, told in _drift(run, tables["drift"]) or [("Notes", str(run["reason"]))]:
        facts.add_row(name, escape(told))
    return facts


def _drift(run: Row, drift: Sequence[Row]) -> list[tuple[str, str]]:
    """Return verdict, alarms and what became of a challenger; empty where drift was not judged."""
    decided = next((row for row in drift if row["verdict"] is not None), None)
    if decided is None:
        return []
    told = [("Drift", f"{decided['verdict']}: {decided['reason']}")]
    alarms = [str(row["reason"] or row["statistic"]) for row in drift if row["is_alarm"] and row is not decided]
    if alarms:
        left = len(alarms) - SHOWN_ALARMS
        more = [f"and {left:,} more in the {'report' if run['report_uri'] else 'table drift'}"] if left > 0 else []
        told.append(("Alarms", "\n".join([*alarms[:SHOWN_ALARMS], *more])))
    if decided["verdict"] != "keep":
        told.append(("Challenger", _challenger(run, decided)))
    elif note := _beyond_verdict(run, decided):
        told.append(("Notes", note))
    return told


def _challenger(run: Row, decided: Row) -> str:
    """Return what became of a challenger, in the words of the gate that follow those of the verdict."""
    told = _beyond_verdict(run, decided)
    if run["challenger_id"] is None:
        return told or "none was trained: the settings only announce"
    return f"{run['challenger_id']}; {told}"


def _beyond_verdict(run: Row, decided: Row) -> str:
    """Return what the reason of a run tells after the verdict."""
    return str(run["reason"]).removeprefix(f"Verdict {decided['verdict']}: {decided['reason']}.").strip()


def _span(release: Release) -> str:
    dates = sorted(publication.dt for publication in release.publications)
    return f"{dates[0]} to {dates[-1]} ({len(dates)} dates)" if len(dates) > 1 else f"{dates[0]}"


def _rows(run: Row) -> str:
    others = [f"{run[f'rows_{name}']:,} {name}" for name in ("missing", "unseen", "invalid") if run[f"rows_{name}"]]
    told = f"{run['rows_total']:,}, of which {run['rows_ok']:,} have a segment"
    if run["rows_anomalous"] is not None:
        others.append(f"{run['rows_anomalous']:,} flagged as anomalies")
    return "; ".join((told, *others))


def _winner(winner: Row, grid: Sequence[Row], run: Row) -> str:
    unsound = sum(row["status"] == "disqualified" for row in grid)
    told = f"{winner['covariance_type']} covariances with {winner['n_components']} components; in prepared units "
    told += f"BIC {winner['bic']:,.0f}, held out {winner['holdout_score']:.4g} nats per row"
    rest = f"; {len(grid)} candidates in {run['passes']} reads of the data"
    return told + rest + (f", {unsound} disqualified" if unsound else "")


def _segments(tables: Mapping[str, Sequence[Row]], settings: Settings) -> Table:
    profiles = tables["segment_profiles"]
    means = {(row["segment_id"], row["feature"]): row["value"] for row in profiles if row["statistic"] == "mean"}
    features = [name for name in settings.features if (None, name) in means][:SHOWN_FEATURES]
    is_named = any(row["name"] for row in tables["segments"])
    shown = _table(["id", "rows", "share", *features], is_named)
    for row in tables["segments"]:
        cells = [_number(means.get((row["segment_id"], name))) for name in features]
        shown.add_row(*_who(row, is_named), f"{row['size']:,}", f"{row['share']:.1%}", *cells)
    return shown


def _who(row: Row, is_named: bool) -> list[str]:
    return [str(row["segment_id"]), *([escape(row["name"] or "")] if is_named else [])]


def _described(tables: Mapping[str, Sequence[Row]], settings: Settings) -> Table:
    top = _most_frequent(tables["segment_profiles"])
    columns = list(counted(settings)[:SHOWN_FEATURES])
    is_named = any(row["name"] for row in tables["segments"])
    shown = _table(["id", *columns], is_named)
    for row in tables["segments"]:
        cells = (escape(top.get((row["segment_id"], name), "")) for name in columns)
        shown.add_row(*_who(row, is_named), *cells)
    return shown


def _table(columns: Sequence[str], is_named: bool) -> Table:
    """Return an empty table whose first column is the segment's id, followed by its name where one has a name."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in columns:
        table.add_column(escape(name), justify="right")
        if is_named and len(table.columns) == 1:
            table.add_column("name", max_width=WIDEST_NAME)
    return table


def _most_frequent(profiles: Sequence[Row]) -> dict[tuple[int, str], str]:
    best: dict[tuple[int, str], tuple[float, str]] = {}
    for row in profiles:
        if row["category"] is not None and row["statistic"] == "share" and row["segment_id"] is not None:
            key = (row["segment_id"], row["feature"])
            best[key] = max(best.get(key, (0.0, "")), (row["value"], f"{row['category']} {row['value']:.0%}"))
    return {key: told for key, (_, told) in best.items()}


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def _where(settings: Settings, run: Row) -> str:
    path = _shown(settings.warehouse.uri.removeprefix("duckdb://"))
    report = f"  report     {_shown(run['report_uri'])}\n" if run["report_uri"] else ""
    trend = f"  all nights {_shown(trend_uri(settings))}\n" if settings.report.trend else ""
    query = f"FROM current_segments WHERE segmentation = '{settings.segmentation.name}'"
    return (
        f"[bold]Where to look[/]\n"
        f"  warehouse  {path} (views current_assignments, current_segments, champion)\n"
        f"  model      {_shown(bundle_uri(settings, run['model_id']))}\n"
        f"{report}{trend}"
        f"  for example\n"
        f'    {_shown(sys.executable)} -c "import duckdb; duckdb.connect(\'{path}\', read_only=True).sql(\\"{query}\\").show()"'
    )


def _shown(uri: str) -> str:
    """Return a path relative to the current folder where it lies below it."""
    path, here = Path(uri), Path.cwd()
    return escape(str(path.relative_to(here) if path.is_relative_to(here) else uri))
