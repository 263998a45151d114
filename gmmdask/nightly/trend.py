"""The trend of a segmentation over all its nights, as one HTML file."""

from __future__ import annotations

from pathlib import Path

from gmmdask.nightly.plan import warehouse_of
from gmmdask.report.trend import write_trend_page
from gmmdask.settings import Settings


def write_trend(settings: Settings, path: Path | None = None) -> Path:
    """Write the trend page and return its path; nothing but the warehouse is read.

    Parameters
    ----------
    settings : Settings
    path : Path, optional
        By default the segmentation's name in the working directory; an older page is replaced.

    Raises
    ------
    WarehouseError
        Nothing is published yet, or another process holds the warehouse.
    StorageError
        The file cannot be written.
    """
    name = settings.segmentation.name
    return write_trend_page(warehouse_of(settings), name, path or Path(f"{name}-trend.html"))
