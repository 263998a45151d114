"""The report's pictures, as plotly figures of what was found. Nothing is computed here; every name is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from gmmdask.report.colours import colour
from gmmdask.report.findings import Certainty, Densities, Profiles, Segment
from gmmdask.report.projection import Projection
from gmmdask.report.wording import count, measure, nats, percent, plain, shortened, signed, with_unit

FONT = '"Inter", "Helvetica Neue", "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif'
INK, QUIET, LINE = "#1f2933", "#616e7c", "#e4e7eb"
CORE_COLOUR, BETWEEN_COLOUR, BOUNDARY_COLOUR = "#2f6f9f", "#a9c8dd", "#e3a857"
DIVERGING = ((0.0, "#3b6fb6"), (0.25, "#a9c4e4"), (0.5, "#ffffff"), (0.75, "#f0b7a0"), (1.0, "#c2493d"))
STRONG_DIFFERENCE = 2.0
"""Standard deviations at which the colours of a profile reach their end."""

LONGEST_FEATURE, LONGEST_SEGMENT = 30, 26
FEW_SEGMENTS = 6
ROW_HEIGHT = 26
TILT = -40
LONGEST_AXIS_TITLE = 70


def profile_figure(profiles: Profiles, segments: Sequence[Segment]) -> go.Figure:
    """Return a map of how far every segment lies from the whole, feature by feature."""
    grid = [[profiles.difference(one.segment_id, feature) for one in segments] for feature in profiles.features]
    names = [plain(one.label) for one in segments]
    hover = [
        [_profile_hover(profiles, feature, one, name) for one, name in zip(segments, names, strict=True)]
        for feature in profiles.features
    ]
    heatmap = go.Heatmap(
        z=[[np.nan if value is None else value for value in row] for row in grid],
        text=[[signed(value) for value in row] for row in grid],
        texttemplate="%{text}",
        textfont={"size": 11},
        hovertext=hover,
        hovertemplate="%{hovertext}<extra></extra>",
        colorscale=DIVERGING,
        zmid=0,
        zmin=-STRONG_DIFFERENCE,
        zmax=STRONG_DIFFERENCE,
        xgap=2,
        ygap=2,
        showscale=False,
    )
    figure = _blank()
    figure.add_trace(heatmap)
    title = "" if _are_told(segments) else "segment"
    figure.update_xaxes(**_labels(_segment_ticks(segments)), title_text=title, side="top", showgrid=False)
    figure.update_xaxes(tickangle=TILT if _is_tilted(segments) else 0, ticklabeloverflow="allow")
    labels = [plain(shortened(feature, LONGEST_FEATURE)) for feature in profiles.features]
    figure.update_yaxes(**_labels(labels), autorange="reversed", showgrid=False, automargin=True)
    figure = styled(figure, height=ROW_HEIGHT * len(labels) + _heading_height(segments) + 20)
    # Tilted labels lean out of the picture on the right, and no automatic margin knows of it.
    return figure.update_layout(margin_r=110) if _is_tilted(segments) else figure


def certainty_figure(certainty: Mapping[int, Certainty], segments: Sequence[Segment]) -> go.Figure:
    """Return how much of every segment is core, boundary, or between."""
    shown = [one for one in segments if one.position in certainty]
    figure = _blank()
    parts = (
        ("core", "core", CORE_COLOUR),
        ("in between", "between", BETWEEN_COLOUR),
        ("boundary", "boundary", BOUNDARY_COLOUR),
    )
    for title, part, fill in parts:
        rows = [getattr(certainty[one.position], part) for one in shown]
        shares = [row / max(certainty[one.position].rows, 1) for row, one in zip(rows, shown, strict=True)]
        figure.add_bar(
            x=shares,
            y=list(range(len(shown))),
            orientation="h",
            name=title,
            marker={"color": fill, "line": {"color": "white", "width": 1}},
            text=[f"{share:.0%}" if share >= 0.06 else "" for share in shares],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"color": "white" if part == "core" else INK, "size": 11},
            hovertext=[_certainty_hover(one, title, row) for one, row in zip(shown, rows, strict=True)],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.25, legend=_legend_above())
    figure.update_xaxes(range=[0, 1], showticklabels=False, showgrid=False)
    labels = [plain(shortened(one.label, LONGEST_FEATURE)) for one in shown]
    figure.update_yaxes(**_labels(labels), autorange="reversed", automargin=True, showgrid=False)
    return styled(figure, height=ROW_HEIGHT * len(shown) + 50)


def projection_figure(projection: Projection, segments: Sequence[Segment], units: Mapping[str, str]) -> go.Figure:
    """Return the segments' ellipses in two dimensions, with the rows of the sample where there is one."""
    figure = _blank()
    for one in segments:
        own = projection.points[projection.components == one.position]
        figure.add_scatter(x=own[:, 0], y=own[:, 1], **_dots(one))
    for one in segments:
        outline = projection.outlines[one.position]
        figure.add_scatter(x=outline[:, 0], y=outline[:, 1], **_outline(one))
        figure.add_annotation(**_number(one, projection.centres[one.position], projection.limits))
    figure.update_xaxes(title_text=_axis_title(projection, 0, units), range=projection.limits[0].tolist())
    figure.update_yaxes(title_text=_axis_title(projection, 1, units), range=projection.limits[1].tolist())
    figure.update_layout(legend={"font": {"size": 12}, "tracegroupgap": 0})
    return styled(figure, height=max(520, 24 * len(segments) + 120))


def marginal_figure(
    values: NDArray[np.float64], densities: NDArray[np.float64], segments: Sequence[Segment], feature: str
) -> go.Figure:
    """Return the weighted density of every segment along a single feature."""
    figure = _blank()
    for one in segments:
        figure.add_scatter(
            x=values,
            y=densities[one.position],
            mode="lines",
            fill="tozeroy",
            line={"color": colour(one.segment_id), "width": 2},
            name=plain(shortened(one.label, LONGEST_SEGMENT)),
        )
    figure.update_xaxes(title_text=plain(feature))
    figure.update_yaxes(title_text="density", showticklabels=False)
    return styled(figure, height=420)


def density_figure(densities: Densities, threshold: float | None) -> go.Figure:
    """Return how the log densities are spread, with the threshold below which a row is an anomaly."""
    starts = densities.low + densities.width * np.arange(len(densities.counts))
    below = np.zeros(len(starts), dtype=bool) if threshold is None else starts + densities.width <= threshold
    figure = _blank()
    figure.add_bar(
        x=starts + densities.width / 2,
        y=list(densities.counts),
        width=densities.width * 0.92,
        marker={"color": [BOUNDARY_COLOUR if flagged else CORE_COLOUR for flagged in below]},
        hovertext=[_density_hover(densities, number) for number in range(len(starts))],
        hovertemplate="%{hovertext}<extra></extra>",
    )
    if threshold is not None:
        label = f"anomalies lie below {nats(threshold)}"
        figure.add_vline(x=threshold, line={"color": INK, "width": 1, "dash": "dot"}, annotation_text=label)
    figure.update_xaxes(title_text="log density (nats); unusual rows lie on the left")
    figure.update_yaxes(title_text="rows", tickformat=",")
    return styled(figure, height=300)


def _labels(texts: Sequence[str]) -> dict[str, Any]:
    """Place labels by number, so that two shortened names never become one."""
    return {"tickmode": "array", "tickvals": list(range(len(texts))), "ticktext": list(texts)}


def _are_told(segments: Sequence[Segment]) -> bool:
    """Return whether segments are told by name, as long as there are names or few numbers, and not by number alone."""
    return any(one.name for one in segments) or len(segments) <= FEW_SEGMENTS


def _segment_ticks(segments: Sequence[Segment]) -> list[str]:
    if _are_told(segments):
        return [plain(shortened(one.label, LONGEST_SEGMENT)) for one in segments]
    return [str(one.segment_id) for one in segments]


def _is_tilted(segments: Sequence[Segment]) -> bool:
    longest = max((len(text) for text in _segment_ticks(segments)), default=0)
    return longest * len(segments) > 90


def _heading_height(segments: Sequence[Segment]) -> int:
    return 58 if not _is_tilted(segments) else 40 + 5 * max(len(text) for text in _segment_ticks(segments))


def _legend_above() -> dict[str, Any]:
    return {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "traceorder": "normal"}


def _dots(one: Segment) -> dict[str, Any]:
    return {
        "mode": "markers",
        "legendgroup": str(one.segment_id),
        "showlegend": False,
        "marker": {"color": colour(one.segment_id), "size": 4, "opacity": 0.45},
        "hoverinfo": "skip",
    }


def _outline(one: Segment) -> dict[str, Any]:
    name = plain(shortened(one.label, LONGEST_SEGMENT))
    return {
        "mode": "lines",
        "name": f"{one.segment_id} · {name}" if one.name else name,
        "legendgroup": str(one.segment_id),
        "line": {"color": colour(one.segment_id), "width": 2},
        "hovertemplate": f"{plain(one.label)}<br>{percent(one.share)} of rows<extra></extra>",
    }


def _number(one: Segment, centre: NDArray[np.float64], limits: NDArray[np.float64]) -> dict[str, Any]:
    inside = np.clip(centre, limits[:, 0], limits[:, 1])
    return {
        "x": float(inside[0]),
        "y": float(inside[1]),
        "text": f"<b>{one.segment_id}</b>",
        "showarrow": False,
        "font": {"size": 12, "color": colour(one.segment_id)},
        "bgcolor": "rgba(255,255,255,0.85)",
        "borderpad": 2,
    }


def _axis_title(projection: Projection, axis: int, units: Mapping[str, str]) -> str:
    if projection.features:
        return plain(with_unit(projection.features[axis], units))
    loadings = projection.loadings[axis]
    titles = [_direction(loadings[:number]) for number in range(len(loadings), 0, -1)]
    return f"→  {plain(next((title for title in titles if len(title) <= LONGEST_AXIS_TITLE), titles[-1]))}"


def _direction(loadings: Sequence[tuple[str, float]]) -> str:
    told = []
    for side, sign in (("more", 1), ("less", -1)):
        names = [shortened(feature, LONGEST_FEATURE) for feature, correlation in loadings if sign * correlation > 0]
        told += [f"{side} {', '.join(names)}"] if names else []
    return "; ".join(told)


def _profile_hover(profiles: Profiles, feature: str, one: Segment, name: str) -> str:
    spread = profiles.value(None, feature, "sd")
    mean, whole = (measure(profiles.value(key, feature, "mean"), spread) for key in (one.segment_id, None))
    title = plain(with_unit(feature, profiles.units))
    return f"<b>{name}</b><br>{title}<br>mean {mean}, of all rows {whole}"


def _certainty_hover(one: Segment, title: str, rows: int) -> str:
    return f"<b>{plain(one.label)}</b><br>{title}: {count(rows)} rows"


def _density_hover(densities: Densities, number: int) -> str:
    low, high = densities.low + densities.width * number, densities.low + densities.width * (number + 1)
    span = f"below {nats(high)}" if number == 0 else f"{nats(low)} to {nats(high)}"
    return f"{span} nats: {count(densities.counts[number])} rows"


def _blank() -> go.Figure:
    # Plotly's own templates are copied and checked with every figure, which takes longer than all the rest.
    return go.Figure(layout={"template": "none"})


def styled(figure: go.Figure, *, height: int) -> go.Figure:
    """Return a figure in the report's type and colours, as wide as the page."""
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 10, "t": 34, "b": 10},
        font={"family": FONT, "size": 12, "color": INK},
        hoverlabel={"bgcolor": "white", "font": {"family": FONT, "size": 12, "color": INK}, "align": "left"},
        title=None,
        width=None,
    )
    figure.update_annotations(font_size=12)
    figure.update_xaxes(automargin=True, gridcolor=LINE, zeroline=False, ticks="", title_font={"color": QUIET})
    figure.update_yaxes(automargin=True, gridcolor=LINE, zeroline=False, ticks="", title_font={"color": QUIET})
    return figure
