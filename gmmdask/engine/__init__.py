"""Engines: the port, and the three that implement it (serial, local threads, Dask).

`DaskEngine` lives in `gmmdask.engine.dask`, which alone imports Dask; a further engine is checked by
`gmmdask.engine.conformance`. What is computed per leaf belongs to the callers.
"""

from gmmdask.engine.freshness import drop_stale_code
from gmmdask.engine.local import LocalEngine
from gmmdask.engine.port import Engine, HeldData, Summary

drop_stale_code()  # every pass goes through an engine, and no kernel was called yet

__all__ = ["Engine", "HeldData", "LocalEngine", "Summary"]
