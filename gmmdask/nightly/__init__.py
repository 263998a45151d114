"""The night, as plain functions: plan, train, score, publish; and `run_night`, which calls them in that order.

Each takes and gives small values, so that a scheduler can run and repeat it on its own. What happens within a step
belongs to training, scoring, the registry and the warehouse; printing and scheduling belong above.
"""

from gmmdask.nightly.cost import Cost, metered
from gmmdask.nightly.engines import open_engine
from gmmdask.nightly.exporting import export_night_model
from gmmdask.nightly.model import NightModel, load_night_model, save_night_model
from gmmdask.nightly.night import (
    Night,
    conclude_night,
    publish_before,
    publish_night,
    publish_waiting,
    rescore_dates,
    run_night,
)
from gmmdask.nightly.plan import NightPlan, next_night, plan_night, plan_overdue, plan_rescore
from gmmdask.nightly.reporting import Report, write_missing_reports
from gmmdask.nightly.score import score_night
from gmmdask.nightly.segments import name_segment, read_segments
from gmmdask.nightly.train import Training, train_model

__all__ = [
    "Cost",
    "Night",
    "NightModel",
    "NightPlan",
    "Report",
    "Training",
    "conclude_night",
    "export_night_model",
    "load_night_model",
    "metered",
    "name_segment",
    "next_night",
    "open_engine",
    "plan_night",
    "plan_overdue",
    "plan_rescore",
    "publish_before",
    "publish_night",
    "publish_waiting",
    "read_segments",
    "rescore_dates",
    "run_night",
    "save_night_model",
    "score_night",
    "train_model",
    "write_missing_reports",
]
