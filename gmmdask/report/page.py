"""The page of a run: findings, figures and tables laid out by the template, as one file that needs nothing else.

Everything that comes from data is escaped, as `layout` says. The page forbids itself to load anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.offline import get_plotlyjs

from gmmdask.errors import InvalidInputError
from gmmdask.figures import grid_figure
from gmmdask.mixture.alignment import Alignment
from gmmdask.report import figures, story, tables, wording
from gmmdask.report.change import story as change_story
from gmmdask.report.change.figures import change_figures
from gmmdask.report.change.findings import change_of
from gmmdask.report.change.succession import succession_words
from gmmdask.report.colours import colour
from gmmdask.report.findings import CORE, NARROW_MARGIN, Findings
from gmmdask.report.layout import embedded, template
from gmmdask.report.projection import marginal, project
from gmmdask.report.reading import read_findings
from gmmdask.report.strangest import strange_rows
from gmmdask.scoring import SegmentModel
from gmmdask.warehouse import Warehouse


def render_report(
    warehouse: Warehouse,
    run_id: str,
    *,
    model: SegmentModel | None = None,
    sample: NDArray[Any] | None = None,
    alignment: Alignment | None = None,
    units: Mapping[str, str] | None = None,
) -> str:
    """Return the report of a run as HTML; the same run gives the same text.

    Parameters
    ----------
    warehouse : Warehouse
    run_id : str
    model : SegmentModel, optional
        The model of the run, for the map of the segments; without it the map is left out.
    sample : ndarray of shape (n_features, n_rows), optional
        Raw rows to show on the map, features in the order of the model's recipe, NaN where missing.
    alignment : Alignment, optional
        What became of the segments of the champion before in the model of the run; told where the run trained it.
    units : mapping of str to str, optional
        Units of features.

    Raises
    ------
    UnknownNameError
        No run of this id was published.
    InvalidInputError
        The model is not that of the run.
    WarehouseError
        The warehouse cannot be read.
    """
    findings = read_findings(warehouse, run_id, units)
    change = change_of(findings)
    new = alignment if findings.trained_here else None
    pictures = {**_figures(findings, model, sample), **change_figures(change, findings, new)}
    drawn = {name: embedded(name, figure) for name, figure in pictures.items()}
    return template("report.html.j2").render(
        findings=findings,
        run=findings.run,
        figures=drawn,
        is_projected=model is not None and model.parameters.n_features > 1,
        has_sample=sample is not None and sample.size > 0,
        story=story,
        tables=tables,
        findings_of_change=change,
        change_story=change_story,
        succession=succession_words(new, findings) if new is not None else [],
        strange_rows=strange_rows(findings),
        colour=colour,
        core=CORE,
        margin=NARROW_MARGIN,
        plotly=get_plotlyjs(),
    )


def _figures(findings: Findings, model: SegmentModel | None, sample: NDArray[Any] | None) -> dict[str, go.Figure]:
    """Return the figures that can be drawn, by name."""
    drawn: dict[str, go.Figure] = {}
    present = [one for one in findings.segments if one.size]
    if present and findings.profiles.features:
        drawn["profile"] = figures.profile_figure(findings.profiles, present)
    if model is not None and findings.segments:
        drawn["map"] = _map(findings, model, sample)
    if findings.certainty:
        drawn["certainty"] = figures.certainty_figure(findings.certainty, findings.segments)
    if findings.best is not None:
        drawn["grid"] = figures.styled(grid_figure(findings.candidates, findings.best), height=400)
    if findings.densities is not None:
        drawn["density"] = figures.density_figure(findings.densities, findings.run["anomaly_threshold"])
    return drawn


def _map(findings: Findings, model: SegmentModel, sample: NDArray[Any] | None) -> go.Figure:
    ids = tuple(one.segment_id for one in findings.segments)
    if model.segment_ids != ids:
        raise InvalidInputError(
            f"the model has the segments {list(model.segment_ids)} and run {findings.run['run_id']} the segments "
            f"{list(ids)}; pass model {findings.run['model_id']}"
        )
    if model.parameters.n_features == 1:
        (feature,) = model.recipe.prepared_features
        title = wording.with_unit(feature, findings.profiles.units)
        return figures.marginal_figure(*marginal(model), findings.segments, title)
    rows = None if sample is None else np.asarray(sample, dtype=np.float64)
    return figures.projection_figure(project(model, rows), findings.segments, findings.profiles.units)
