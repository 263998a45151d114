"""The pictures of the trend page, as plotly figures over one common axis of dates. Every name is escaped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import plotly.graph_objects as go

from gmmdask.report.colours import colour
from gmmdask.report.figures import BOUNDARY_COLOUR, CORE_COLOUR, QUIET
from gmmdask.report.trend.axes import DAY, Picture, aligned, logarithmic_ticks
from gmmdask.report.trend.findings import Day, Gain, Life, Night, Trend
from gmmdask.report.wording import brief, count, day, duration, measure, nats, percent, plain, shortened

MODEL_SHADES = ("#c9d8e6", "#e6dcc9", "#d3e4d3", "#e3d3e0")
ALARM_COLOUR = "#b4401f"
ACTION_COLOURS = {"keep": "#a9c8dd", "first": QUIET, "warm-start": BOUNDARY_COLOUR, "refit": ALARM_COLOUR}
VERDICT_SYMBOLS = {"warm-start": "triangle-up", "refit": "star"}
LONGEST_NAME = 40
FEW_DATES = 60
MILLISECONDS = 86_400_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """A run of dates that one model labelled."""

    model_id: str
    first: date
    last: date
    dates: int


def figures(trend: Trend) -> dict[str, go.Figure]:
    """Return the figures that can be drawn, by name, in the order of the page."""
    drawn = {"models": _models(trend), "shares": _shares(trend)}
    for name, gains in (("window", trend.windows), ("tonight", trend.tonight)):
        known = [gain for gain in gains if _positive(gain.value)]
        if known:
            marks = _verdicts(trend, known) if name == "window" else _exceeded(trend, known)
            drawn[name] = _gains(_with_breaks(known, trend), marks)
    if any(one.mean_log_density is not None for one in trend.days):
        drawn["density"] = _line(trend, lambda one: one.mean_log_density, nats, {"title": {"text": "nats"}})
    if any(one.anomalies is not None for one in trend.days):
        drawn["anomalies"] = _anomalies(trend)
    drawn["rows"] = _rows(trend)
    if trend.nights:
        drawn["durations"] = _durations(trend)
    return {name: aligned(trend, picture) for name, picture in drawn.items()}


def reaches(days: Sequence[Day]) -> Iterator[Reach]:
    """Yield which model labelled which dates, in order."""
    start = 0
    for number in range(1, len(days) + 1):
        if number == len(days) or days[number].model_id != days[start].model_id:
            own = days[start:number]
            yield Reach(model_id=own[0].model_id, first=own[0].dt, last=own[-1].dt, dates=len(own))
            start = number


def _models(trend: Trend) -> Picture:
    bands = list(reaches(trend.days))
    order = {model_id: number for number, model_id in enumerate(dict.fromkeys(band.model_id for band in bands))}
    bars = {
        "type": "bar",
        "orientation": "h",
        "base": [(band.first - DAY / 2).isoformat() for band in bands],
        "x": [((band.last - band.first).days + 1) * MILLISECONDS for band in bands],
        "y": ["model"] * len(bands),
        "text": [plain(brief(band.model_id)) for band in bands],
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textangle": 0,
        "marker": {
            "color": [MODEL_SHADES[order[band.model_id] % len(MODEL_SHADES)] for band in bands],
            "line": {"color": "white", "width": 1},
        },
        "hovertext": [_reach_hover(band) for band in bands],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }
    return Picture(
        height=38,
        traces=[bars],
        axis={"showticklabels": False, "showgrid": False},
        layout={"uniformtext": {"mode": "hide", "minsize": 10}, "bargap": 0},
        has_dates=False,
    )


def _shares(trend: Trend) -> Picture:
    """Return the shares stacked by stable id; where dates are missing the stack is down to nothing."""
    stops = list(_with_gaps(trend))
    dates = [dt.isoformat() for dt, _ in stops]
    traces = [
        {
            "type": "scatter",
            "x": dates,
            "y": [0.0 if one is None else _short(one.share(life.segment_id)) for _, one in stops],
            "stackgroup": "shares",
            "mode": "none",
            "fillcolor": colour(life.segment_id),
            "name": _numbered(life),
            "hovertemplate": "%{y:.1%}",
        }
        for life in trend.lives
    ]
    axis = {"range": [0, 1], "tickformat": ".0%", "title": {"text": "share of rows"}}
    return Picture(height=352, traces=traces, axis=axis, layout={"hovermode": "x"})


def _gains(known: Sequence[Gain], marks: Iterable[Mapping[str, Any]]) -> Picture:
    """Return the drift statistic with its threshold and marks on it."""
    dates = [gain.dt.isoformat() for gain in known]
    limits = [_positive(gain.threshold) for gain in known]
    threshold = {
        "type": "scatter",
        "x": dates,
        "y": limits,
        "mode": "lines",
        "name": "threshold",
        "line": {"color": QUIET, "width": 1.2, "dash": "dash"},
        "hoverinfo": "skip",
    }
    statistic = {
        "type": "scatter",
        "x": dates,
        "y": [_positive(gain.value) for gain in known],
        "mode": _mode(known),
        "name": "drift statistic",
        "line": {"color": CORE_COLOUR, "width": 1.6},
        "hovertext": [_gain_hover(gain) for gain in known],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }
    has_threshold = any(limit is not None for limit in limits)
    traces = [*([threshold] if has_threshold else []), statistic, *marks]
    axis = {
        "type": "log",
        "title": {"text": "nats per row"},
        **logarithmic_ticks([y for one in traces for y in one["y"] if y]),
    }
    return Picture(height=280, traces=traces, axis=axis, has_legend=True)


def _verdicts(trend: Trend, gains: Sequence[Gain]) -> Iterator[Mapping[str, Any]]:
    by_date = {gain.dt: gain for gain in gains}
    for verdict, symbol in VERDICT_SYMBOLS.items():
        own = [by_date[night.dt] for night in trend.nights if night.verdict == verdict and night.dt in by_date]
        if own:
            marker = {"symbol": symbol, "size": 11, "color": ACTION_COLOURS[verdict]}
            yield _marks(own, f"verdict {verdict}", marker)


def _exceeded(trend: Trend, gains: Sequence[Gain]) -> Iterator[Mapping[str, Any]]:
    together = {row["dt"] for row in trend.alarms if row["scope"] == "recent"}
    alone = {gain.dt for gain in gains if gain.is_alarm}
    for name, symbol, dates in (("alarm", "circle", alone), ("alarm of three nights", "circle-open", together)):
        own = [gain for gain in gains if gain.dt in dates]
        if own:
            yield _marks(own, name, {"symbol": symbol, "size": 7, "color": ALARM_COLOUR})


def _marks(gains: Sequence[Gain], name: str, marker: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [gain.dt.isoformat() for gain in gains],
        "y": [_positive(gain.value) for gain in gains],
        "name": name,
        "marker": marker,
        "hoverinfo": "skip",
    }


def _line(
    trend: Trend,
    value: Callable[[Day], float | None],
    told: Callable[[float | None], str],
    axis: Mapping[str, Any],
) -> Picture:
    stops = list(_with_gaps(trend))
    values = [None if one is None else value(one) for _, one in stops]
    trace = {
        "type": "scatter",
        "x": [dt.isoformat() for dt, _ in stops],
        "y": [None if found is None else _short(found) for found in values],
        "mode": _mode(stops),
        "line": {"color": CORE_COLOUR, "width": 1.4},
        "hovertext": [f"{day(dt)}<br>{told(found)}" for (dt, _), found in zip(stops, values, strict=True)],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }
    return Picture(height=210, traces=[trace], axis=axis)


def _anomalies(trend: Trend) -> Picture:
    axis = {"title": {"text": "share of rows"}, "tickformat": ".2~%", "rangemode": "tozero"}
    line = _line(trend, _anomalous_share, percent, axis)
    if trend.expected_anomalies is None:
        return line
    expected = {
        "type": "scatter",
        "x": [trend.days[0].dt.isoformat(), trend.days[-1].dt.isoformat()],
        "y": [trend.expected_anomalies] * 2,
        "mode": "lines",
        "name": f"{percent(trend.expected_anomalies)}, as in training",
        "line": {"color": QUIET, "width": 1.2, "dash": "dash"},
        "hoverinfo": "skip",
    }
    (trace,) = line.traces
    traces = [{**trace, "name": "anomalies"}, expected]
    return Picture(height=230, traces=traces, axis=axis, has_legend=True)


def _anomalous_share(one: Day) -> float | None:
    return None if one.anomalies is None or not one.rows_ok else one.anomalies / one.rows_ok


def _rows(trend: Trend) -> Picture:
    bars = ((one.dt, one.rows, CORE_COLOUR, f"{day(one.dt)}<br>{count(one.rows)} rows") for one in trend.days)
    return Picture(height=200, traces=[_bars(bars)], axis={"title": {"text": "rows"}, "tickformat": ","})


def _durations(trend: Trend) -> Picture:
    bars = ((night.dt, night.seconds, _action_colour(night), _night_hover(night)) for night in trend.nights)
    return Picture(height=200, traces=[_bars(bars)], axis={"title": {"text": "seconds"}, "tickformat": ","})


def _bars(stops: Iterable[tuple[date, float, str, str]]) -> Mapping[str, Any]:
    dates, heights, colours, hover = zip(*stops, strict=True)
    return {
        "type": "bar",
        "x": [dt.isoformat() for dt in dates],
        "y": [_short(height) for height in heights],
        "width": 0.9 * MILLISECONDS,
        "marker": {"color": colours[0] if len(set(colours)) == 1 else list(colours), "line": {"width": 0}},
        "hovertext": list(hover),
        "hovertemplate": "%{hovertext}<extra></extra>",
    }


def _with_gaps(trend: Trend) -> Iterator[tuple[date, Day | None]]:
    """Yield the dates in order, and the first and last date of a stretch without any, which have nothing."""
    absent = set(trend.missing)
    for one in trend.days:
        before, after = one.dt - DAY, one.dt + DAY
        if before in absent and before - DAY in absent:
            yield before, None
        yield one.dt, one
        if after in absent:
            yield after, None


def _with_breaks(known: Sequence[Gain], trend: Trend) -> list[Gain]:
    """Return what is known, with a value that is not where dates are missing or nights in between know none.

    So no line bridges them.
    """
    dates = [gain.dt for gain in known]
    unknown = {night.dt for night in trend.nights if min(dates) < night.dt < max(dates)} - set(dates)
    absent = unknown | set(trend.missing)
    missing = [Gain(dt=dt, value=None, reference=None, threshold=None, is_alarm=False) for dt in absent]
    return sorted([*known, *missing], key=lambda gain: gain.dt)


def _mode(stops: Sequence[Any]) -> str:
    return "lines+markers" if len(stops) < FEW_DATES else "lines"


def _numbered(life: Life) -> str:
    name = plain(shortened(life.label, LONGEST_NAME))
    return f"{life.segment_id} · {name}" if life.name else name


def _reach_hover(band: Reach) -> str:
    return f"<b>{plain(band.model_id)}</b><br>{day(band.first)} to {day(band.last)}<br>{band.dates} dates"


def _action_colour(night: Night) -> str:
    # A challenger that lost took its time as well.
    action = str(night.verdict) if night.retrained and night.action == "keep" else night.action
    return ACTION_COLOURS.get(action, QUIET)


def _night_hover(night: Night) -> str:
    return f"{day(night.dt)}<br>{duration(night.seconds)}, {plain(night.action)}"


def _gain_hover(gain: Gain) -> str:
    limit = "" if gain.threshold is None else f"<br>threshold {measure(gain.threshold)}"
    return f"{day(gain.dt)}<br>{measure(gain.value)} nats per row{limit}"


def _short(value: float) -> float:
    """Return a number with the digits that a picture can show."""
    return float(f"{value:.6g}")


def _positive(value: float | None) -> float | None:
    """Return a number as a logarithmic axis can show it."""
    return None if value is None or value <= 0 else _short(value)
