"""What every test shares: the profiles of Hypothesis and the header of the run.

The environment of the mathematics loads this file too, so the top of it imports nothing but Hypothesis.
"""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

# Time decides nothing: a slow machine must not turn a law into a failure. In CI the examples are always the same ones.
settings.register_profile("developer", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("ci", settings.get_profile("developer"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "developer")

# A shell has what it starts in the background ignore Ctrl-C, and tests send one to themselves and to what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> list[str]:
    try:
        from gmmdask.engine.fingerprint import numeric_fingerprint
    except ImportError:
        return []
    return [f"numeric fingerprint: {numeric_fingerprint()}"]
