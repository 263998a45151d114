"""What the pictures of the trend page have in common: the axis of dates, the margins, the lines where models change."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import plotly.graph_objects as go

from gmmdask.report.figures import FONT, INK, LINE, QUIET
from gmmdask.report.trend.findings import Trend

LEFT, RIGHT = 84, 14
"""Margins in pixels, the same everywhere, so that dates lie below each other."""

DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A figure before it lies over the common axis: its traces, its height in pixels, its own axis, and what is special.

    A plotly figure checks itself with every change, so each is made of these in one go.
    """

    height: int
    traces: Sequence[Mapping[str, Any]]
    axis: Mapping[str, Any]
    layout: Mapping[str, Any] = field(default_factory=dict)
    has_legend: bool = False
    has_dates: bool = True


def aligned(trend: Trend, picture: Picture) -> go.Figure:
    """Lay a picture over the common axis of dates, with a line where the champion changed."""
    bottom = 38 if picture.has_dates else 4
    layout = {
        "template": "none",
        "height": picture.height,
        "margin": {"l": LEFT, "r": RIGHT, "t": 30 if picture.has_legend else 10, "b": bottom},
        "font": {"family": FONT, "size": 12, "color": INK},
        "hoverlabel": {"bgcolor": "white", "font": {"family": FONT, "size": 12, "color": INK}, "align": "left"},
        "showlegend": picture.has_legend,
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "traceorder": "normal"},
        "xaxis": {**_dates(trend), "showticklabels": picture.has_dates},
        "yaxis": {"gridcolor": LINE, "zeroline": False, "ticks": "", "automargin": False, **_titled(picture.axis)},
        "shapes": [_change_line(reign.dt) for reign in trend.changes] if picture.has_dates else [],
        **picture.layout,
    }
    return go.Figure(data=[dict(trace) for trace in picture.traces], layout=layout)


def _dates(trend: Trend) -> dict[str, Any]:
    first, last = trend.days[0].dt, trend.days[-1].dt
    return {
        "type": "date",
        "range": [(first - DAY).isoformat(), (last + DAY).isoformat()],
        "showgrid": False,
        "showline": True,
        "linecolor": LINE,
        "zeroline": False,
        "ticks": "",
        "nticks": 14,
    }


def _titled(axis: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**axis, "title": {"font": {"color": QUIET}, "standoff": 14, **axis["title"]}} if "title" in axis else axis


def _change_line(dt: date) -> dict[str, Any]:
    where = dt.isoformat()
    line = {"color": INK, "width": 1, "dash": "dot"}
    return {
        "type": "line",
        "yref": "paper",
        "x0": where,
        "x1": where,
        "y0": 0,
        "y1": 1,
        "line": line,
        "opacity": 0.55,
    }


def logarithmic_ticks(values: Sequence[float]) -> dict[str, Any]:
    """Place labels of a logarithmic axis: 1, 2, 5 where it spans little, else the powers of ten alone."""
    low, high = math.log10(min(values)) - 0.06, math.log10(max(values)) + 0.1
    digits = (1, 2, 5) if high - low < 2.5 else (1,)
    ticks = [digit * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for digit in digits]
    return {
        "range": [low, high],
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": [f"{tick:.6f}".rstrip("0").rstrip(".") if tick >= 1e-6 else f"{tick:.0e}" for tick in ticks],
    }
