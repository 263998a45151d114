"""The trend of a segmentation over all its nights, as one HTML file: written on demand, and anew after every night."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gmmdask.errors import UnknownNameError
from gmmdask.nightly.plan import warehouse_of
from gmmdask.nightly.reporting import options_for, patience_of, reason_of
from gmmdask.settings import Settings
from gmmdask.warehouse.port import pass_by

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Trend:
    """What became of the trend page.

    Parameters
    ----------
    uri : str
        Where it lies or belongs.
    trouble : str, default ""
        Why it was not written, in one sentence; empty where it was.
    """

    uri: str
    trouble: str = ""


def trend_uri(settings: Settings) -> str:
    """Return where nights leave the trend page: beside the reports of the segmentation."""
    return f"{str(settings.report.uri).rstrip('/')}/{settings.segmentation.name}/trend.html"


def renew_trend(settings: Settings, *, at: Callable[[str], None] = pass_by) -> Trend | None:
    """Write the trend page anew; None where it is turned off, or nothing was published yet.

    Never raises: a page that cannot be written costs no night. It is told, and the next night writes it.

    Parameters
    ----------
    settings : Settings
    at : callable
        Called with the name of every point at which a crash must do no harm.
    """
    if not settings.report.trend:
        return None
    uri = trend_uri(settings)
    try:
        _write(settings, uri)
    except UnknownNameError:
        return None
    except Exception as error:  # noqa: BLE001  whatever fails here, the night is published
        _log.info("the trend page was not written", exc_info=True)
        return Trend(uri=uri, trouble=f"The trend page was not written ({reason_of(error)})")
    at("trend written")
    return Trend(uri=uri)


def _write(settings: Settings, uri: str, options: Mapping[str, Any] | None = None) -> None:
    from gmmdask.report.layout import write_page  # plotly takes a second
    from gmmdask.report.trend import render_trend

    name = settings.segmentation.name
    page = render_trend(warehouse_of(settings, patience_of(settings)), name)
    write_page(page, uri, f"the trend of {name!r}", settings.report.storage_options if options is None else options)


def write_trend(settings: Settings, path: str | Path | None = None) -> str:
    """Write the trend page and return where it lies; nothing but the warehouse is read.

    Parameters
    ----------
    settings : Settings
    path : str or Path, optional
        A file on this machine, or an address, opened with the storage options of the reports; by default the segmentation's
        name in the working directory. An older page is replaced.

    Raises
    ------
    WarehouseError
        Nothing is published yet, or another process holds the warehouse.
    StorageError
        The file cannot be written.
    """
    uri = str(path or f"{settings.segmentation.name}-trend.html")
    _write(settings, uri, options_for(settings, uri))
    return uri
