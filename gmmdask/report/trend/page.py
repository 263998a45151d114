"""The trend page: findings, figures and tables laid out by the template, as one file that needs nothing else."""

from __future__ import annotations

from pathlib import Path

from plotly.offline import get_plotlyjs

from gmmdask.report.figures import colour
from gmmdask.report.layout import embedded, template, write_page
from gmmdask.report.trend import story, tables
from gmmdask.report.trend.figures import figures
from gmmdask.report.trend.reading import read_trend
from gmmdask.warehouse import Warehouse


def write_trend_page(warehouse: Warehouse, segmentation: str, path: str | Path) -> Path:
    """Write the trend of a segmentation and return where it lies; readers see the old file or the new one.

    Raises
    ------
    UnknownNameError
        Nothing of this segmentation was published.
    WarehouseError
        The warehouse cannot be read.
    StorageError
        The file cannot be written.
    """
    page = render_trend(warehouse, segmentation)
    write_page(page, str(path), f"the trend of {segmentation!r}")
    return Path(path)


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
