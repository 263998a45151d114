"""Numbers, dates and names as a reader takes them in: separators, sensible digits, units, names that fit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from html import escape

MINUS = "−"
NOTHING = "–"
BRIEF = 8
LARGEST_PLAIN, SMALLEST_SPREAD = 1e9, 1e-6
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def count(value: float | None) -> str:
    """Return a whole number with thousands separators.

    Examples
    --------
    >>> count(336776)
    '336,776'
    """
    return NOTHING if value is None else f"{value:,.0f}".replace("-", MINUS)


def percent(share: float | None) -> str:
    """Return a share in per cent: one digit after the point, more where it would show nothing.

    Examples
    --------
    >>> percent(0.1963), percent(0.00042), percent(0.0), percent(0.9999)
    ('19.6%', '0.04%', '0%', '99.99%')
    """
    if share is None or not math.isfinite(share):
        return NOTHING
    if share in (0.0, 1.0):
        return f"{share:.0%}"
    if share < 0.00005:
        return "< 0.01%"
    digits = 2 if share < 0.001 or share >= 0.9995 else 1
    return f"{share * 100:.{digits}f}%"


def measure(value: float | None, spread: float | None = None) -> str:
    """Return a measurement with the digits that its spread makes worth reading.

    Parameters
    ----------
    value : float, optional
    spread : float, optional
        Standard deviation of what is measured; its own size where it is not known.

    Examples
    --------
    >>> measure(12.5551, 40.07), measure(1047.2, 733.2), measure(-0.01234, 0.02), measure(3.2e12, 1e12)
    ('12.6', '1,047', '−0.0123', '3.20×10¹²')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    size = abs(spread) if spread else abs(value)
    if abs(value) >= LARGEST_PLAIN or 0 < size < SMALLEST_SPREAD:
        return _scientific(value)
    decimals = 2 - math.floor(math.log10(size)) if size else 0
    told = f"{value:,.{min(max(decimals, 0), 8)}f}"
    return told.replace("-", MINUS) if float(told.replace(",", "")) else told.replace("-", "")


def nats(value: float | None) -> str:
    """Return a log density, to a tenth of a nat.

    Examples
    --------
    >>> nats(-37.954)
    '−38.0'
    """
    return NOTHING if value is None else f"{value:,.1f}".replace("-", MINUS)


def signed(value: float | None, digits: int = 1) -> str:
    """Return a difference with its sign.

    Examples
    --------
    >>> signed(1.24), signed(-0.3), signed(0.01)
    ('+1.2', '−0.3', '0.0')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    told = f"{value:+.{digits}f}"
    return told.replace("-", MINUS) if float(told) else told[1:]


def day(value: date) -> str:
    """Return a date in words.

    Examples
    --------
    >>> day(date(2013, 5, 1))
    '1 May 2013'
    """
    return f"{value.day} {value:%B %Y}"


def span(first: date, last: date) -> str:
    """Return a range of dates, or the one date that it is.

    Examples
    --------
    >>> span(date(2013, 5, 1), date(2013, 5, 1)), span(date(2013, 5, 1), date(2013, 6, 2))
    ('1 May 2013', '1 May 2013 to 2 June 2013')
    """
    return day(first) if first == last else f"{day(first)} to {day(last)}"


def moment(value: datetime) -> str:
    """Return a time to the minute, with its zone."""
    return f"{day(value)}, {value:%H:%M} {value.tzname() or ''}".rstrip()


def duration(seconds: float) -> str:
    """Return a time span.

    Examples
    --------
    >>> duration(8.3), duration(93.3), duration(7260)
    ('8.3 s', '1 min 33 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def plural(number: int, one: str, many: str = "") -> str:
    """Return a number of things.

    Examples
    --------
    >>> plural(1, "date"), plural(2500, "row")
    ('1 date', '2,500 rows')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def shortened(name: str, longest: int) -> str:
    """Return a name that is at most so long, its middle left out: beginnings and ends tell names apart.

    Examples
    --------
    >>> shortened("average_monthly_household_income", 20)
    'average_mo…ld_income'
    """
    if len(name) <= longest:
        return name
    head = longest // 2
    return f"{name[:head]}…{name[len(name) - (longest - head - 1) :]}"


def brief(model_id: str | None) -> str:
    """Return as much of an id as tells models apart.

    Examples
    --------
    >>> brief("0ff1cedec0dedbad")
    '0ff1cede'
    """
    return NOTHING if model_id is None else model_id[:BRIEF]


def with_unit(feature: str, units: Mapping[str, str], longest: int = 10_000) -> str:
    """Return a feature's name with its unit, where it is known."""
    unit = units.get(feature)
    return f"{shortened(feature, longest)} ({unit})" if unit else shortened(feature, longest)


def listed(parts: Sequence[str]) -> str:
    """Return an enumeration.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def plain(text: str) -> str:
    """Return a text as plotly takes it: its labels are a kind of HTML, and names come from data."""
    return escape(text, quote=False)


def _scientific(value: float) -> str:
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa}×10{str(int(exponent)).translate(SUPERSCRIPTS)}".replace("-", MINUS)
