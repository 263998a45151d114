"""What became of a night: which model labels it, what was found of it, and why; a value for tables and reports."""

from __future__ import annotations

from dataclasses import dataclass

from gmmdask.nightly.challenge import Challenge
from gmmdask.nightly.train import Training
from gmmdask.nightly.watch import Watched


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """The end of a run.

    Parameters
    ----------
    training : Training
        Of the model that labels.
    watched : Watched, optional
    challenge : Challenge, optional
        Where the verdict called for training and the settings let it.
    """

    training: Training
    watched: Watched | None = None
    challenge: Challenge | None = None

    @property
    def trained(self) -> Training | None:
        """What was trained in this run, promoted or not."""
        if self.challenge is not None:
            return self.challenge.training
        return self.training if self.training.passes else None

    @property
    def has_trained(self) -> bool:
        """Whether a training was tried, even if no candidate was sound."""
        return self.challenge is not None or self.trained is not None

    @property
    def is_promoted(self) -> bool:
        """Whether a challenger won."""
        return self.challenge is not None and self.challenge.decision.is_promoted

    @property
    def wants_attention(self) -> bool:
        """Whether anything in it is for a person to look at."""
        return self.watched is not None and (self.watched.is_alert or self.watched.verdict.decision != "keep")
