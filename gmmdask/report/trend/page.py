"""The trend page: findings, figures and tables laid out by the template, as one text that needs nothing else."""

from __future__ import annotations

from plotly.offline import get_plotlyjs

from gmmdask.report.colours import colour
from gmmdask.report.layout import embedded, template
from gmmdask.report.trend import story, tables
from gmmdask.report.trend.figures import figures
from gmmdask.report.trend.reading import read_trend
from gmmdask.warehouse import Warehouse


def render_trend(warehouse: Warehouse, segmentation: str) -> str:
    """Return the trend of a segmentation as HTML; the same warehouse gives the same text.

    Raises
    ------
    UnknownNameError
        Nothing of this segmentation was published.
    WarehouseError
        The warehouse cannot be read.
    """
    trend = read_trend(warehouse, segmentation)
    alerts, left = tables.alert_rows(trend)
    return template("trend.html.j2").render(
        trend=trend,
        figures={name: embedded(name, figure) for name, figure in figures(trend).items()},
        story=story,
        segments=tables.segment_rows(trend),
        trainings=tables.training_rows(trend),
        alerts=alerts,
        alerts_left=left,
        colour=colour,
        plotly=get_plotlyjs(),
    )
