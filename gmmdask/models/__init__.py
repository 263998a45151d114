"""Fitted models outside this process: stored as bundles and read back, or handed to plain scikit-learn."""

from gmmdask.models.bundles import load_model, save_model
from gmmdask.models.pipeline import export_pipeline

__all__ = ["export_pipeline", "load_model", "save_model"]
