"""What happened to a segmentation over its nights, told in sentences, and what is worth a second look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from gmmdask.report.trend.findings import Day, Life, Trend
from gmmdask.report.wording import count, day, listed, percent, plural, shortened, span

STRETCH = 28
"""Dates at the beginning and at the end that are compared."""

NOTABLE_MOVE = 0.01
LONGEST_NAME = 60
NAMED_DATES = 5
BY_HAND = {"promote": "promoted by hand", "rollback": "by a rollback"}


def sentences(trend: Trend) -> list[str]:
    """Return what was labelled, what was retrained, what raised an alert, which model is in force, what moved."""
    told = [_labelled(trend), _retrained(trend), _alerted(trend), _champion(trend), _moved(trend)]
    return [sentence for sentence in told if sentence]


def notes(trend: Trend) -> list[str]:
    """Return what is worth a second look; often nothing."""
    return [*_missing(trend), *_empty(trend), *_announced(trend), *_rejected(trend)]


def called(life: Life) -> str:
    """Return a segment as a sentence calls it."""
    return f"“{shortened(life.name, LONGEST_NAME)}”" if life.name else f"number {life.segment_id}"


def mean_shares(trend: Trend, life: Life) -> tuple[float | None, float | None]:
    """Return a segment's mean share on the first dates and on the last; None where no model of these has it."""
    first, last = _stretches(trend.days)
    return _mean_share(trend.counting(life, first), life), _mean_share(trend.counting(life, last), life)


def stretch_words(trend: Trend, which: str) -> str:
    """Return what the first or the last dates are, as a table calls their mean."""
    length = len(_stretches(trend.days)[0])
    return f"Mean of the {which} {length} dates" if length > 1 else f"{which} date".capitalize()


def _labelled(trend: Trend) -> str:
    days, nights = trend.days, sum(night.kind == "night" for night in trend.nights)
    rows = sum(one.rows for one in days)
    told = f"{plural(rows, 'row')} of {span(days[0].dt, days[-1].dt)} ({plural(len(days), 'date')}) were labelled"
    return f"{told} in {plural(max(nights, 1), 'night')}."


def _retrained(trend: Trend) -> str:
    trained = [night for night in trend.trainings if night.retrained]
    if not trained:
        return "The first model was never retrained." if len(trend.days) > 1 else ""
    kinds = Counter(night.action if night.action != "keep" else str(night.verdict) for night in trained)
    names = {"warm-start": ("warm start", "warm starts"), "refit": ("refit", "refits")}
    parts = [plural(kinds[kind], *both) for kind, both in names.items() if kinds[kind]]
    promoted = sum(night.promoted for night in trained)
    told = f"A model was retrained {_times(len(trained))} ({listed(parts)})" if parts else "A model was retrained"
    outcome = "and became the champion" if promoted == len(trained) == 1 else f"and {count(promoted)} became champion"
    return f"{told}, {outcome if promoted else 'and none became champion'}."


def _alerted(trend: Trend) -> str:
    if not trend.alerted:
        return "No night raised an alert."
    number = len(trend.alerted)
    if number == 1:
        return f"One night raised an alert, that of {day(trend.alerted[0])}."
    return f"{count(number)} nights raised an alert, the last of them that of {day(trend.alerted[-1])}."


def _champion(trend: Trend) -> str:
    if not trend.reigns:
        return "No model is in force."
    reign = trend.champion
    trained = any(night.dt == reign.dt and night.promoted for night in trend.trainings)
    how = BY_HAND.get(reign.kind, "trained that night" if trained else "")
    return f"Model {reign.champion_id} has been the champion since {day(reign.dt)}{how and f', {how}'}."


def _moved(trend: Trend) -> str:
    means = [(life, *mean_shares(trend, life)) for life in trend.lives]
    known = [(life, before, after) for life, before, after in means if before is not None and after is not None]
    if len(trend.days) < 2 or not means:
        return ""
    length = len(_stretches(trend.days)[0])
    share, dates = ("mean share", f"{length} dates") if length > 1 else ("share", "date")
    if not known:
        return f"None of the segments of the first {dates} is left on the last {dates}."
    life, before, after = max(known, key=lambda move: abs(move[2] - move[1]))
    if abs(after - before) < NOTABLE_MOVE:
        told = f"No segment's {share} of the last {dates} is more than {100 * NOTABLE_MOVE:g} percentage point away"
        return f"{told} from that of the first {dates}."
    told = f"The {share} that moved most is that of {called(life)}"
    return f"{told}: {percent(before)} of the first {dates}, {percent(after)} of the last {dates}."


def _missing(trend: Trend) -> list[str]:
    absent = trend.missing
    if not absent:
        return []
    named = listed([day(dt) for dt in absent[:NAMED_DATES]])
    if len(absent) > NAMED_DATES:
        named = f"{', '.join(day(dt) for dt in absent[:NAMED_DATES])} and {count(len(absent) - NAMED_DATES)} more"
    return [f"{plural(len(absent), 'date')} between the first and the last have no labels: {named}."]


def _empty(trend: Trend) -> list[str]:
    empty = [one.dt for one in trend.days if not one.rows_ok]
    told = f"{plural(len(empty), 'date')} had no row that could be given a segment, the last of them"
    return [f"{told} {day(empty[-1])}."] if empty else []


def _announced(trend: Trend) -> list[str]:
    only = [night for night in trend.trainings if night.calls and night.challenger_id is None]
    if not only:
        return []
    return [f"Drift called for a retraining {_times(len(only))} without one being done, last on {day(only[-1].dt)}."]


def _rejected(trend: Trend) -> list[str]:
    trained = [night for night in trend.trainings if night.retrained]
    if not trained or trained[-1].promoted:
        return []
    return [f"The last model that was trained, on {day(trained[-1].dt)}, was no better than the champion."]


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{count(number)} times")


def _stretches(days: Sequence[Day]) -> tuple[Sequence[Day], Sequence[Day]]:
    length = max(1, min(STRETCH, len(days) // 2))
    return days[:length], days[-length:]


def _mean_share(days: Sequence[Day], life: Life) -> float | None:
    rows = sum(one.rows_ok for one in days)
    return sum(one.sizes.get(life.segment_id, 0) for one in days) / rows if rows else None
