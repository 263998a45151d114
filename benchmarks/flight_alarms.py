"""Alarms on real nights: nine months of flights after three to learn from, as they were and with a feature changed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from textwrap import wrap

import numpy as np

from benchmarks.drift_flights import FEATURES, Year, flights
from benchmarks.drift_watch import CONTESTANTS, Watch, Watched, first_alarms, nights_told
from benchmarks.drift_worlds import Floats, Training, summed_nights
from benchmarks.record import WIDTH, Options, Section, conclude, load, options_of, table

STRETCHES, LONGEST = 20, 5
TOLD = ("unit", "features")
"""Contestants whose alarms on changed nights are told: the others alarm on most nights of summer, changed or not."""

Change = Callable[[Year, int, Floats], Floats]


def _in_feet(year: Year, feature: int, values: Floats) -> Floats:
    zero = float(year.spread.centre[feature] / year.spread.scale[feature])
    return 0.3048 * (values + zero) - zero


CHANGES: dict[str, Change] = {
    "×0.3048": _in_feet,
    "shift of 0.2 sd": lambda _, __, values: values + 0.2,
    "gone null": lambda _, __, values: np.full_like(values, np.nan),
}


def played(year: Year, stretches: int) -> tuple[dict[str, list[str]], dict[str, list[dict[str, float]]]]:
    """Watch the nights after the bootstrap, without ever training.

    Returns
    -------
    alarms : dict of str to list of str
        Dates with an alarm, by contestant.
    noticed : dict of str to list of dict of str to float
        For every change of a feature the night of the first alarm by contestant, one entry for each stretch of nights.
    """
    watched = Watched.begin(Watch.over(_training(year)))
    dates = [date for date in year.dates if date > year.bootstrap]
    rows = [year.night(date) for date in dates]
    alarms: dict[str, list[str]] = {name: [] for name in CONTESTANTS}
    noticed: dict[str, list[dict[str, float]]] = {}
    step = (len(dates) - LONGEST) // stretches
    for number, date in enumerate(dates):
        if number % step == 0 and number < step * stretches:
            for change, first in _first_alarms(year, watched, rows[number : number + LONGEST]).items():
                noticed.setdefault(change, []).append(first)
        watched = watched.with_night(rows[number])
        today = watched.alarms()
        for name, found in alarms.items():
            found += [date] * today[name]
    return alarms, noticed


def _training(year: Year) -> Training:
    rows = [year.night(date) for date in year.dates if date <= year.bootstrap]
    return Training(rows=rows, champion=year.champion, sums=summed_nights(year.champion, rows))


def _first_alarms(year: Year, watched: Watched, nights: Sequence[Floats]) -> dict[str, dict[str, float]]:
    return {
        f"{change}, {name}": first_alarms(watched, [_with_change(year, changed, place, rows) for rows in nights])
        for change, changed in CHANGES.items()
        for place, name in enumerate(FEATURES)
    }


def _with_change(year: Year, changed: Change, place: int, rows: Floats) -> Floats:
    after = rows.copy()
    after[place] = changed(year, place, rows[place])
    return after


def run(options: Options) -> Section:
    """Watch."""
    stretches = 1 if options.small else STRETCHES
    with flights(small=options.small) as year:
        alarms, noticed = played(year, stretches)
        nights = sum(date > year.bootstrap for date in year.dates)
    changes = [
        [change, *(nights_told([one[name] for one in found]) for name in TOLD)] for change, found in noticed.items()
    ]
    dates = ", ".join(date.removeprefix("2013-") for date in alarms["features"])
    return Section(
        name="flight_alarms",
        title=f"Alarms on flights: {nights} nights after {year.bootstrap}, those up to it to learn from",
        lines=(
            "Nights with an alarm, as they were, nothing being trained; columns as in `drift_alarms`.",
            "",
            *table(["nights", *CONTESTANTS], [[nights, *map(len, alarms.values())]]),
            "",
            *wrap(f"Features: {dates or 'none'}.", WIDTH),
            "",
            f"A change put into {stretches} stretches of {LONGEST} nights: nights until the first alarm, told as there.",
            "",
            *table(["change", *TOLD], changes),
        ),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, record."""
    before, options = load(), options_of(arguments, repeats=1)
    return conclude(run(options), options, before)


if __name__ == "__main__":
    sys.exit(main())
