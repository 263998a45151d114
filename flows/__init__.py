"""Prefect around `gmmdask.nightly`: schedule, retries, records. No logic of its own, and not in the wheel.

What Prefect must know before it is imported stands here: no telemetry, and time to start a server of its own.
"""

from __future__ import annotations

import os

os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "90")
