"""Tonight under the champion: whether anything has changed, and what the settings would have done about it.

Decides; trains and publishes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from gmmdask.engine import Engine
from gmmdask.monitoring import FeatureAlarm, LastAttempt, NightSums, Thresholds, Verdict, judge, judge_features
from gmmdask.monitoring.observation import Observation
from gmmdask.nightly.history import History
from gmmdask.nightly.model import NightModel
from gmmdask.nightly.observing import keep_observation, observed, observer_of
from gmmdask.nightly.plan import NightPlan, between
from gmmdask.settings import Drift, Settings

NIGHTS_OF_FEATURES = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Watched:
    """What was found of tonight.

    Parameters
    ----------
    champion : NightModel
        By which it was judged.
    verdict : Verdict
    alarms : tuple of FeatureAlarm
        One for every test of a feature, alarm or not.
    rows : int
        Of tonight.
    """

    champion: NightModel
    verdict: Verdict
    alarms: tuple[FeatureAlarm, ...]
    rows: int

    @property
    def is_alert(self) -> bool:
        """Whether anything wants a person's attention."""
        return bool(self.verdict.alerts or self.verdict.unit_change or any(one.is_alarm for one in self.alarms))


def watch_night(
    plan: NightPlan, settings: Settings, engine: Engine, model: NightModel, tonight: Observation, history: History
) -> Watched | None:
    """Judge tonight by the champion's null; None where the champion was made without one, or by an unknown night.

    Parameters
    ----------
    plan : NightPlan
    settings : Settings
    engine : Engine
        Reads dates of the window of which no observation is kept.
    model : NightModel
        The champion.
    tonight : Observation
    history : History
    """
    last = history.last_attempt(plan.dt)
    if model.watch is None or last is None:
        return None
    attempt = LastAttempt(date=last.dt.isoformat(), rejected_warm_start=last.is_rejected_warm_start)
    observer = observer_of(model.segments, model.watch.profile.bins, settings)
    keep_observation(plan.lake, plan.dt, tonight, model.model_id, settings)
    dates = _recent(plan, attempt, settings.drift.window)
    nights = observed(plan.lake, dates, engine, observer, model.model_id, settings) | {plan.dt: tonight}
    sums = NightSums.of(
        observer.champion.stack.layout, {dt.isoformat(): nights[dt].statistics for dt in sorted(nights)}
    )
    verdict = judge(sums, plan.dt.isoformat(), observer.champion, model.watch.null, attempt, thresholds(settings.drift))
    features = {dt: nights[dt].features for dt in sorted(nights)[-NIGHTS_OF_FEATURES:]}
    alarms = judge_features(model.watch.profile, features)
    return Watched(champion=model, verdict=verdict, alarms=alarms, rows=tonight.features.n_rows)


def with_drift_action(settings: Settings, action: Literal["act", "announce"]) -> Settings:
    """Return the settings with another answer to what becomes of verdicts; a run under them is another run."""
    return settings.model_copy(update={"drift": settings.drift.model_copy(update={"action": action})})


def thresholds(drift: Drift) -> Thresholds:
    """Return the settings' thresholds as monitoring knows them."""
    return Thresholds(
        window=drift.window,
        fewest_nights=drift.fewest_nights,
        margin=drift.margin,
        smallest_gain=drift.smallest_gain,
        refit_gain=drift.refit_gain,
        refit_ratio=drift.refit_ratio,
        night_quantile=drift.alert_quantile,
    )


def _recent(plan: NightPlan, attempt: LastAttempt, window: int) -> list[date]:
    """Return the nights before tonight that may count: twice the window, for some may be left out of it."""
    since = between(plan.lake, date.fromisoformat(attempt.date), plan.dt)
    after = [date.fromisoformat(text) for text in since.dates]
    return [dt for dt in after if date.fromisoformat(attempt.date) < dt < plan.dt][-2 * window :]
