"""The verdict on a night: keep the champion, warm-start from it, or fit a new one; and whether tonight alarms.

The verdict looks at a window of nights after the last training attempt, alerts at tonight and the two nights before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log
from typing import Literal

from gmmdask.errors import InvalidInputError
from gmmdask.mixture.statistics import SufficientStatistics
from gmmdask.monitoring.alerts import alerts_of, night_numbers
from gmmdask.monitoring.breaks import find_break
from gmmdask.monitoring.gain import Gain, measure_gain
from gmmdask.monitoring.nights import Champion, NightSums
from gmmdask.monitoring.null import RUN, NullDistribution
from gmmdask.monitoring.thresholds import Thresholds
from gmmdask.monitoring.units import AffineChange, find_affine_change

Decision = Literal["keep", "warm-start", "refit"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LastAttempt:
    """The last training, promoted or not.

    Parameters
    ----------
    date : str
        ISO date of the last night that it saw; only later nights are judged.
    rejected_warm_start : bool, default False
        It was a warm start that did not become champion.
    """

    date: str
    rejected_warm_start: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Verdict:
    """What to do tonight, and why.

    Parameters
    ----------
    decision : {"keep", "warm-start", "refit"}
    reason : str
        One sentence without the numbers' names.
    window : tuple of str
        Dates judged.
    gain : Gain, optional
        Of the window; None where there was none to judge.
    tonight : Gain, optional
        None where tonight brought no rows.
    recent : Gain, optional
        Of the last three nights of the window together; None where there are fewer, or tonight is not among them.
    alerts : mapping of str to str
        What is unusual about these gains, by the name of the number: a sentence each.
    unit_change : AffineChange, optional
        Tonight's, if it looks like one.
    left_out : tuple of str
        Dates left out of the window because a feature came in another unit.
    since : str, default ""
        Date of the first night that differs, where what differs is to be learned.
    numbers : mapping of str to float
        What was compared, by name.
    """

    decision: Decision
    reason: str
    window: tuple[str, ...] = ()
    gain: Gain | None = None
    tonight: Gain | None = None
    recent: Gain | None = None
    alerts: dict[str, str] = field(default_factory=dict)
    unit_change: AffineChange | None = None
    left_out: tuple[str, ...] = ()
    since: str = ""
    numbers: dict[str, float] = field(default_factory=dict)


def judge(
    nights: NightSums,
    tonight: str,
    champion: Champion,
    null: NullDistribution,
    attempt: LastAttempt,
    thresholds: Thresholds | None = None,
) -> Verdict:
    """Judge a night.

    With G of the window, its null and E = G − median(null): keep if G ≤ margin·max(null) or E < smallest_gain; refit if
    E > refit_gain and G > refit_ratio·margin·max(null), or where a warm start was just rejected; else warm-start. All but
    what follows a rejected warm start wait until the nights since the change began are enough to learn from.

    Parameters
    ----------
    nights : NightSums
        At least those after the last attempt up to tonight.
    tonight : str
        ISO date; need not be among the nights if it brought no rows.
    champion : Champion
    null : NullDistribution
        Learned with the same window.
    attempt : LastAttempt
    thresholds : Thresholds, optional
    """
    limits = thresholds or Thresholds()
    if null.window != limits.window:
        raise InvalidInputError(
            f"the champion's null distribution is of windows of {null.window} nights and the settings ask for "
            f"{limits.window}; learn it anew from the training range"
        )
    window, left_out = _window(nights, tonight, champion, attempt, limits)
    statistics = _tonight(nights, tonight, attempt)
    alone = None if statistics is None else measure_gain(statistics, champion)
    change = None if statistics is None else _unit_change(nights, tonight, champion, limits)
    reason = _not_enough(window, left_out, champion, limits)
    gain = None if reason or null.n_nights < limits.fewest_nights else measure_gain(window.total(), champion)
    decision: Decision = "keep"
    since = ""
    if gain is not None:
        decision, reason = _decided(gain, null, attempt, limits)
        if decision == "warm-start" or _is_break(gain, null, limits):
            since = find_break(window, champion)
            decision, reason = _once_enough(decision, window, since, reason, champion, limits)
    elif not reason:
        decision, reason = "refit", _unknown(null, limits)
    recent = _recent(window, tonight, champion)
    numbers = night_numbers(alone, recent, null, limits)
    return Verdict(
        decision=decision,
        reason=reason,
        window=window.dates,
        gain=gain,
        tonight=alone,
        recent=recent,
        alerts=alerts_of(numbers),
        unit_change=change,
        left_out=left_out,
        since=since,
        numbers=_window_numbers(gain, null, limits) | numbers,
    )


def _window(
    nights: NightSums, tonight: str, champion: Champion, attempt: LastAttempt, limits: Thresholds
) -> tuple[NightSums, tuple[str, ...]]:
    """Return the last nights after the attempt, without those where a feature came in another unit, and these."""
    recent = nights.between(attempt.date, tonight)
    chosen: list[str] = []
    left_out: list[str] = []
    for date, mass in zip(reversed(recent.dates), recent.masses[::-1], strict=True):
        if date <= attempt.date or len(chosen) == limits.window:
            break
        if mass > 0:
            changed = _unit_change(nights, date, champion, limits) is not None
            (left_out if changed else chosen).append(date)
    return nights.only(chosen), tuple(sorted(left_out))


def _tonight(nights: NightSums, tonight: str, attempt: LastAttempt) -> SufficientStatistics | None:
    found = nights.between(tonight, tonight)
    return found.total() if len(found) and found.masses[0] > 0 else None


def _recent(window: NightSums, tonight: str, champion: Champion) -> Gain | None:
    dates = window.dates[-RUN:]
    if len(dates) < RUN or dates[-1] != tonight:
        return None
    return measure_gain(window.only(dates).total(), champion)


def _unit_change(nights: NightSums, date: str, champion: Champion, limits: Thresholds) -> AffineChange | None:
    return None if date in nights.in_usual_units else find_unit_change(nights.night(date), champion, limits)


def find_unit_change(statistics: SufficientStatistics, champion: Champion, limits: Thresholds) -> AffineChange | None:
    """Return the change of one feature that explains a night's sums and is large enough to be one of its unit.

    Sums of a night know nothing of the shape of a feature: see `moved_all_rows` for what its counts say.
    """
    change = find_affine_change(statistics, champion)
    if change is None or change.share < limits.unit_share:
        return None
    rescaled = abs(log(change.scale)) >= log(limits.unit_scale)
    return change if rescaled or abs(change.shift) >= limits.unit_shift else None


def _not_enough(window: NightSums, left_out: Sequence[str], champion: Champion, limits: Thresholds) -> str:
    """Return why nothing can be judged yet; empty where it can."""
    if len(window) < limits.window:
        return f"window not full: {len(window)} of {limits.window} nights since the last training{_without(left_out)}"
    needed = limits.rows_per_parameter * champion.parameters.n_parameters
    rows = float(window.masses.sum())
    if rows < needed:
        return f"not enough data: {rows:,.0f} rows in {len(window)} nights, {needed:,.0f} needed{_without(left_out)}"
    return ""


def _without(left_out: Sequence[str]) -> str:
    """Return how many nights count into no window, as the end of a sentence."""
    if not left_out:
        return ""
    nights = "1 night was" if len(left_out) == 1 else f"{len(left_out)} nights were"
    return f"; {nights} left out because a feature came in another unit"


def _unknown(null: NullDistribution, limits: Thresholds) -> str:
    return (
        f"the champion learned from {null.n_nights} nights, fewer than the {limits.fewest_nights} that tell what is "
        f"ordinary, and {limits.window} more are there"
    )


def _decided(gain: Gain, null: NullDistribution, attempt: LastAttempt, limits: Thresholds) -> tuple[Decision, str]:
    ordinary, excess = ordinary_gain(null, gain.mass, limits), gain.total - null.median
    told = f"retraining would gain {gain.total:.3g} nats per row, and up to {ordinary:.3g} is ordinary"
    if gain.total <= ordinary:
        return "keep", told
    if excess < limits.smallest_gain:
        return "keep", f"{told}; the excess of {excess:.3g} is not worth a training"
    if _is_break(gain, null, limits):
        return "refit", f"{told}: more than {limits.refit_ratio:g} times that"
    if attempt.rejected_warm_start:
        return "refit", f"{told}; the last warm start was no better than the champion"
    return "warm-start", told


def _is_break(gain: Gain, null: NullDistribution, limits: Thresholds) -> bool:
    """Return whether so much is to be gained that the champion describes another state of the data."""
    large = gain.total - null.median > limits.refit_gain
    return large and gain.total > limits.refit_ratio * ordinary_gain(null, gain.mass, limits)


def _once_enough(
    decision: Decision, window: NightSums, since: str, told: str, champion: Champion, limits: Thresholds
) -> tuple[Decision, str]:
    """Wait until the nights that differ are enough to learn from."""
    rows = window.between(since, window.dates[-1]).total().mass
    needed = limits.rows_per_parameter * champion.parameters.n_parameters
    told = f"{told}; the nights differ since {since}{' or before' if since == window.dates[0] else ''}"
    if rows < needed:
        return "keep", f"{told}, and their {rows:,.0f} rows are not enough to learn from: {needed:,.0f} needed"
    return decision, told


def ordinary_gain(null: NullDistribution, mass: float, limits: Thresholds) -> float:
    """Return up to where a window's G is ordinary, in nats per row, with what chance adds where it has fewer rows."""
    return limits.margin * null.largest + null.allowance(mass, null.window_mass)


def _window_numbers(gain: Gain | None, null: NullDistribution, limits: Thresholds) -> dict[str, float]:
    if gain is None:
        return {}
    parts = {f"gain_{part}": float(values.sum()) for part, values in gain.parts.items()}
    return {
        "gain": gain.total,
        **parts,
        "ordinary": ordinary_gain(null, gain.mass, limits),
        "excess": gain.total - null.median,
        "null_median": null.median,
        "null_largest": null.largest,
        "theory": null.theory(gain.mass),
        "rows": gain.mass,
    }
