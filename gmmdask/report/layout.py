"""What all pages share: their template, their figures as parts of the text, and the file they become.

Everything that comes from data is escaped: by the template where it is text, by `wording.plain` where plotly shows it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from pathlib import Path

import jinja2
import plotly.graph_objects as go
import plotly.io

from gmmdask.errors import StorageError
from gmmdask.report import wording

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


def write_page(page: str, path: str | Path, what: str) -> Path:
    """Write a page and return where it lies; readers see the old file or the new one, never a part.

    Raises
    ------
    StorageError
        The file cannot be written; says what it was to be.
    """
    target = Path(path)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(page, encoding="utf-8")
        unfinished.replace(target)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise StorageError(f"{what} cannot be written to {target}: {error}") from error
    return target
