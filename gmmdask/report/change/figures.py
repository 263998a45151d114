"""Pictures of change: gains against what is ordinary, and where the rows of every segment went."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from gmmdask.mixture.alignment import Alignment
from gmmdask.report.change.findings import Change, Gain
from gmmdask.report.change.story import gain_words
from gmmdask.report.colours import colour
from gmmdask.report.figures import BOUNDARY_COLOUR, CORE_COLOUR, INK, QUIET, styled
from gmmdask.report.findings import Findings
from gmmdask.report.wording import day, percent, plain, shortened

ALARM_COLOUR, ORDINARY_COLOUR = "#b4401f", "#eef4ef"
LONGEST_LABEL = 32
SMALLEST_FLOW = 0.002
"""Share of all rows below which a flow is left out, unless it is the largest of its segment."""

NODE_HEIGHT = 46


def change_figures(change: Change | None, findings: Findings, alignment: Alignment | None) -> dict[str, go.Figure]:
    """Return the figures that can be drawn, by name."""
    drawn: dict[str, go.Figure] = {}
    if change is not None and any(gain.limit for gain in _gains(change).values()):
        drawn["gain"] = gain_figure(change)
    if alignment is not None:
        drawn["flow"] = flow_figure(alignment, findings)
    return drawn


def gain_figure(change: Change) -> go.Figure:
    """Return the gains of window and night, each as a multiple of what is ordinary at most."""
    gains = {name: gain for name, gain in _gains(change).items() if gain.limit}
    ratios = [gain.value / (gain.limit or 1.0) for gain in gains.values()]
    figure = go.Figure(layout={"template": "none"})
    figure.add_bar(
        x=ratios,
        y=list(range(len(gains))),
        orientation="h",
        width=0.5,
        marker={"color": [_fill(gain, ratio) for gain, ratio in zip(gains.values(), ratios, strict=True)]},
        hoverinfo="skip",
    )
    _mark_usual(figure, gains)
    figure.add_vrect(x0=0, x1=1, fillcolor=ORDINARY_COLOUR, line_width=0, layer="below")
    figure.add_vline(x=1, line={"color": INK, "width": 1, "dash": "dot"})
    figure.add_annotation(x=1, y=1, yref="paper", yanchor="bottom", text="ordinary up to here", showarrow=False)
    end = max(1.0, *ratios)
    for at, gain in enumerate(gains.values()):
        words = plain(gain_words(gain))
        figure.add_annotation(x=1.02 * end, y=at, xanchor="left", text=words, showarrow=False, align="left")
    # Words stand to the right of the longest bar, and need as much room as half of it.
    figure.update_xaxes(range=[0, end * 1.62], showticklabels=False, showgrid=False)
    figure.update_yaxes(tickmode="array", tickvals=list(range(len(gains))), ticktext=list(gains), showgrid=False)
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_layout(showlegend=False, bargap=0.3)
    return styled(figure, height=58 * len(gains) + 46)


def _gains(change: Change) -> Mapping[str, Gain]:
    found = {}
    if change.window is not None:
        found[f"Since {day(change.window.start)}"] = change.window
    if change.night is not None:
        found["Tonight alone"] = change.night
    return found


def _fill(gain: Gain, ratio: float) -> str:
    """Return red for an alarm beyond what is ordinary; amber where only one of the two holds."""
    if gain.is_alarm and ratio > 1:
        return ALARM_COLOUR
    return BOUNDARY_COLOUR if gain.is_alarm or ratio > 1 else CORE_COLOUR


def _mark_usual(figure: go.Figure, gains: Mapping[str, Gain]) -> None:
    """Mark what is usual, where it is known."""
    known = [(at, gain) for at, gain in enumerate(gains.values()) if gain.usual is not None and gain.limit]
    for at, gain in known:
        usual = (gain.usual or 0.0) / (gain.limit or 1.0)
        figure.add_shape(type="line", x0=usual, x1=usual, y0=at - 0.36, y1=at + 0.36, line={"color": QUIET, "width": 2})


def flow_figure(alignment: Alignment, findings: Findings) -> go.Figure:
    """Return where the rows of every old segment went: old ones on the left, new ones on the right."""
    shares = alignment.flow / max(float(alignment.flow.sum()), 1e-300)
    links = [(int(i), int(j)) for i, j in np.argwhere(_is_drawn(shares))]
    ids = (*alignment.old_ids, *alignment.segment_ids)
    n_old = len(alignment.old_ids)
    sizes = [*shares.sum(axis=1).tolist(), *shares.sum(axis=0).tolist()]
    sankey = go.Sankey(
        arrangement="snap",
        valueformat=".1%",
        node={
            "label": [_label(one, findings) for one in ids],
            "color": [colour(one) for one in ids],
            "pad": 14,
            "thickness": 14,
            "line": {"width": 0},
            "customdata": [percent(size) for size in sizes],
            "hovertemplate": "%{label}<br>%{customdata} of all rows<extra></extra>",
        },
        link={
            "source": [i for i, _ in links],
            "target": [n_old + j for _, j in links],
            "value": [float(shares[link]) for link in links],
            "color": [_faint(colour(alignment.old_ids[i])) for i, _ in links],
            "customdata": [percent(float(alignment.departures[link])) for link in links],
            "hovertemplate": "%{source.label} → %{target.label}<br>%{customdata} of the former<extra></extra>",
        },
    )
    figure = go.Figure(data=[sankey], layout={"template": "none"})
    figure = styled(figure, height=max(220, NODE_HEIGHT * max(n_old, len(ids) - n_old) + 40))
    for x, text, anchor in ((0, "before", "left"), (1, "now", "right")):
        figure.add_annotation(
            x=x,
            y=1,
            yanchor="bottom",
            xanchor=anchor,
            xref="paper",
            yref="paper",
            text=text,
            showarrow=False,
            font={"color": QUIET, "size": 12},
        )
    return figure.update_layout(margin_b=20)


def _is_drawn(shares: np.ndarray) -> np.ndarray:
    """Return which flows are drawn: the notable ones, and the largest to and from each segment."""
    is_largest = (shares == shares.max(axis=1, keepdims=True)) | (shares == shares.max(axis=0, keepdims=True))
    return np.asarray((shares > 0) & ((shares >= SMALLEST_FLOW) | is_largest))


def _label(segment_id: int, findings: Findings) -> str:
    name = findings.name(segment_id)
    return plain(f"{segment_id} · {shortened(name, LONGEST_LABEL)}" if name else f"Segment {segment_id}")


def _faint(hexadecimal: str) -> str:
    red, green, blue = (int(hexadecimal[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.32)"
