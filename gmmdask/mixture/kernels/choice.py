"""Which kernel a pass takes. Shapes alone decide, never a clock, or the bits would change from run to run."""

from __future__ import annotations

FUSED_COMPONENTS = 64


def use_fused(n_features: int, n_components: int, only_full: bool) -> bool:
    """Return whether the fused kernel is the faster one for a stack of so many components in all."""
    return only_full and n_components <= FUSED_COMPONENTS and n_features <= 64
