"""Pictures of values, as plotly figures: shared by notebooks and reports. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from gmmdask.training.results import Candidate, Criterion

COLOURS = {"spherical": "#7f7f7f", "diag": "#1f77b4", "tied": "#2ca02c", "full": "#d62728"}
SYMBOLS = {"polished": "circle", "evaluated": "circle-open", "disqualified": "x-thin-open"}
TITLES = {
    "bic": "BIC (lower is better)",
    "aic": "AIC (lower is better)",
    "icl": "ICL (lower is better)",
    "holdout": "held-out nats per row (higher is better)",
}
LEGEND = "filled: polished on all the data, hollow: only evaluated, cross: disqualified"


def grid_figure(candidates: Sequence[Candidate], best: Candidate, chosen_by: Criterion = "bic") -> go.Figure:
    """Return what chose, and BIC and AIC, against the number of components: a line for each covariance structure.

    Filled markers were polished on all the data, open ones only evaluated, crosses are disqualified; the winner is
    ringed.

    Parameters
    ----------
    candidates : sequence of Candidate
    best : Candidate
    chosen_by : {"bic", "aic", "icl", "holdout"}, default "bic"
    """
    panels: list[Criterion] = list(dict.fromkeys((chosen_by, "bic", "aic")))
    figure = make_subplots(rows=1, cols=len(panels), subplot_titles=[TITLES[name] for name in panels])
    # The winner's structure is drawn last, so that no other lies over it.
    names = dict.fromkeys(candidate.covariance_type for candidate in candidates)
    for column, criterion in enumerate(panels, 1):
        for name in sorted(names, key=lambda name: name == best.covariance_type):
            own = sorted((c for c in candidates if c.covariance_type == name), key=lambda c: c.n_components)
            figure.add_trace(_line(own, criterion, show_legend=column == 1), row=1, col=column)
        figure.add_trace(_ring(best, criterion, show_legend=column == 1), row=1, col=column)
    figure.update_xaxes(title_text="components", dtick=_tick(candidates))
    figure.update_yaxes(tickformat="~s")
    plural = "s" if best.n_components > 1 else ""
    figure.update_layout(
        template="plotly_white",
        title={
            "text": f"{best.covariance_type} covariances with {best.n_components} component{plural} won by"
            f" {TITLES[chosen_by].partition(' (')[0]}<br><sup>{LEGEND}</sup>"
        },
        legend={"orientation": "h", "yanchor": "top", "y": -0.2},
        width=1000,
        height=460,
    )
    return figure


def _value(candidate: Candidate, criterion: Criterion) -> float:
    return candidate.holdout_score if criterion == "holdout" else candidate.criterion(criterion)


def _line(candidates: Sequence[Candidate], criterion: Criterion, *, show_legend: bool) -> go.Scatter:
    name = candidates[0].covariance_type
    return go.Scatter(
        x=[c.n_components for c in candidates],
        y=[_value(c, criterion) for c in candidates],
        mode="lines+markers",
        name=name,
        legendgroup=name,
        showlegend=show_legend,
        line={"color": COLOURS[name]},
        marker={
            "size": 8,
            "symbol": [SYMBOLS[c.status] for c in candidates],
            "color": COLOURS[name],
            "line": {"width": 2, "color": COLOURS[name]},
        },
        text=[f"{c.status}{': ' if c.reason else ''}{c.reason}" for c in candidates],
        hovertemplate="%{x} components: %{y:.6s}<br>%{text}",
    )


def _ring(best: Candidate, criterion: Criterion, *, show_legend: bool) -> go.Scatter:
    return go.Scatter(
        x=[best.n_components],
        y=[_value(best, criterion)],
        mode="markers",
        name="winner",
        legendgroup="winner",
        showlegend=show_legend,
        marker={"size": 18, "symbol": "circle-open", "color": "black", "line": {"width": 2}},
        hoverinfo="skip",
    )


def _tick(candidates: Sequence[Candidate]) -> int:
    counts = [candidate.n_components for candidate in candidates]
    return max(1, (max(counts) - min(counts)) // 10)
