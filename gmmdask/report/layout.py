"""What all pages share: their template, their figures as parts of the text, and the file they become.

Everything that comes from data is escaped: by the template where it is text, by `wording.plain` where plotly shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import jinja2
import plotly.graph_objects as go
import plotly.io

from gmmdask.report import wording
from gmmdask.storage import created, has_folders, open_storage, reaching

FIGURE_SETTINGS = {"displayModeBar": False, "responsive": True}
FILTERS = ("count", "percent", "nats", "day", "moment", "plural", "shortened", "measure", "brief")


def embedded(name: str, figure: go.Figure) -> str:
    """Return a figure as a part of a page; plotly escapes what it puts into the script."""
    html: str = plotly.io.to_html(
        figure,
        full_html=False,
        include_plotlyjs=False,
        include_mathjax=False,
        div_id=f"figure-{name}",
        default_height=f"{figure.layout.height}px",
        config=FIGURE_SETTINGS,
    )
    return html


@cache
def template(name: str) -> jinja2.Template:
    """Return a template of `report/templates`, which escapes all that it is given."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gmmdask", "report/templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({name: getattr(wording, name) for name in FILTERS})
    return environment.get_template(name)


def write_page(page: str, uri: str, what: str, storage_options: Mapping[str, Any] | None = None) -> None:
    """Write a page; readers see the old file or the new one, never a part.

    Parameters
    ----------
    page : str
        As a `render_` function made it.
    uri : str
        A path on this machine, whose folder is made, or any address that fsspec knows.
    what : str
        What it is to be, for the message of an error.
    storage_options : mapping, optional
        For the filesystem.

    Raises
    ------
    StorageError
        The file cannot be written; says what it was to be.
    """
    filesystem, path = open_storage(uri, storage_options)
    with reaching(uri, storage_options, f"{what} cannot be written: "):
        if has_folders(filesystem):
            filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
        with created(filesystem, path) as file:
            file.write(page.encode())
