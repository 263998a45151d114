"""The TOML file that describes a segmentation, read and checked as a whole.

Every key can be overridden by an environment variable: `GMMDASK_WAREHOUSE__URI` is `[warehouse] uri`. Secrets are not
settings: storage reads them from the environment or its usual files. Nothing here opens what it names.
"""

from gmmdask.settings.document import Settings
from gmmdask.settings.drift import Drift
from gmmdask.settings.preparation import ColumnPreparation, Preparation
from gmmdask.settings.reading import load_settings
from gmmdask.settings.sections import (
    Alerts,
    Anomalies,
    Cluster,
    Grid,
    Lake,
    Registry,
    Report,
    Segmentation,
    Training,
    Warehouse,
)

__all__ = [
    "Alerts",
    "Anomalies",
    "Cluster",
    "ColumnPreparation",
    "Drift",
    "Grid",
    "Lake",
    "Preparation",
    "Registry",
    "Report",
    "Segmentation",
    "Settings",
    "Training",
    "Warehouse",
    "load_settings",
]
