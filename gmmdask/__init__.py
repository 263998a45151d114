"""The public names, loaded when they are first asked for.

Importing gmmdask costs nothing: no array library, no Dask, no scikit-learn is loaded before a name is used.
No logic lives here, and no module of the package imports from here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gmmdask.estimator import GaussianMixture
    from gmmdask.lake import open_lake
    from gmmdask.models import export_pipeline, load_model, save_model
    from gmmdask.selection import Selection, select

__version__ = "0.1.0"

__all__ = [
    "GaussianMixture",
    "Selection",
    "export_pipeline",
    "load_model",
    "open_lake",
    "save_model",
    "select",
]

_HOMES = {
    "GaussianMixture": "gmmdask.estimator",
    "Selection": "gmmdask.selection",
    "export_pipeline": "gmmdask.models",
    "load_model": "gmmdask.models",
    "open_lake": "gmmdask.lake",
    "save_model": "gmmdask.models",
    "select": "gmmdask.selection",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
