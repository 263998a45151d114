"""Settings that were changed since the champion was trained, and that no label follows yet. Says so; trains nothing."""

from __future__ import annotations

from gmmdask.nightly.model import NightModel
from gmmdask.settings import Settings

SECTIONS = ("preparation", "grid", "training", "anomalies")
"""What a model learns from once, when it is trained. Other features than its own are refused elsewhere."""

INHERITED = ("preparation", "grid")
"""What a warm start takes over from its champion."""


def untrained_note(model: NightModel, settings: Settings) -> str:
    """Return a sentence about sections that differ from those that a model was trained with; empty where none does.

    A key that the model's settings do not know, because its version had none, is no difference.
    """
    before, now = model.provenance.get("settings", {}), settings.decisive
    changed = [
        f"[{name}]"
        for name in SECTIONS
        if any(now[name].get(key) != value for key, value in before.get(name, {}).items())
    ]
    if model.watch is not None and settings.drift.action != "off" and model.watch.null.window != settings.drift.window:
        changed.append("[drift] window")
    if not changed:
        return ""
    told = " and ".join([", ".join(changed[:-1]), changed[-1]] if len(changed) > 1 else changed)
    verb, they = ("differ", "they take") if len(changed) > 1 else ("differs", "it takes")
    return (
        f"{told} {verb} from what model {model.model_id} was trained with; {they} effect when a new champion "
        "is trained (--refit)."
    )
