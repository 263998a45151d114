"""`[drift]`: when a night is alerted, retrained for, and what becomes of the verdict."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gmmdask.settings.keys import Section

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Drift(Section):
    """`[drift]`: how nights are judged against the champion's training range, and whether a verdict is acted upon.

    `act` trains and lets the better model label the same night, `announce` only records the verdict, `off` watches
    nothing. The numbers are those of `gmmdask.monitoring.Thresholds`; a warm start takes `warm_passes` EM steps at most.
    """

    action: Literal["act", "announce", "off"] = "act"
    window: Positive = 28
    fewest_nights: Annotated[int, Field(ge=2)] = 14
    margin: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1.5
    smallest_gain: Share = 1e-3
    refit_gain: Share = 0.05
    refit_ratio: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 2.0
    alert_quantile: Annotated[float, Field(ge=0.5, le=1)] = 0.99
    warm_passes: Positive = 3

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.refit_gain < self.smallest_gain:
            raise ValueError(
                f"refit_gain = {self.refit_gain:g} must not be less than smallest_gain = {self.smallest_gain:g}: "
                "a gain that calls for a new fit is worth a training"
            )
        return self
