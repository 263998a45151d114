"""Tonight under the champion: whether anything has changed, and what the settings would have done about it.

Decides; trains and publishes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from gmmdask.engine import Engine
from gmmdask.monitoring import FeatureAlarm, LastAttempt, NightSums, Thresholds, Verdict, judge, judge_features
from gmmdask.monitoring.observation import Observation, Observer
from gmmdask.monitoring.units import moved_all_rows
from gmmdask.monitoring.verdict import find_unit_change
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
    limits = replace(thresholds(settings.drift), window=model.watch.null.window)
    dates = _recent(plan, attempt, limits.window)
    nights = observed(plan.lake, dates, engine, observer, model.model_id, settings) | {plan.dt: tonight}
    sums = NightSums.of(
        observer.champion.stack.layout, {dt.isoformat(): nights[dt].statistics for dt in sorted(nights)}
    )
    sums = replace(sums, in_usual_units=_in_usual_units(sums, nights, model, observer, limits))
    verdict = judge(sums, plan.dt.isoformat(), observer.champion, model.watch.null, attempt, limits)
    features = {dt: nights[dt].features for dt in sorted(nights)[-NIGHTS_OF_FEATURES:]}
    alarms = judge_features(model.watch.profile, features)
    return Watched(champion=model, verdict=verdict, alarms=alarms, rows=tonight.features.n_rows)


def _in_usual_units(
    sums: NightSums,
    nights: Mapping[date, Observation],
    model: NightModel,
    observer: Observer,
    limits: Thresholds,
) -> frozenset[str]:
    """Return the dates whose sums look like a change of unit and whose counts say that it is none."""
    bins, recipe, watch = observer.bins, observer.recipe, model.watch
    usual = set()
    for dt, night in nights.items():
        change = (
            find_unit_change(sums.night(dt.isoformat()), observer.champion, limits) if night.statistics.mass else None
        )
        if change is None or watch is None:
            continue
        feature = recipe.prepared_features[change.feature]
        if feature not in bins.features:  # an indicator of a category has no unit
            usual.add(dt.isoformat())
            continue
        own = bins.features.index(feature)
        edges, n = recipe.prepared_values(feature, bins.edges[own]), len(bins.edges[own]) + 1
        before, after = watch.profile.total.counts[own, :n], night.features.counts[own, :n]
        if not moved_all_rows(change, edges, before, after):
            usual.add(dt.isoformat())
    return frozenset(usual)


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
