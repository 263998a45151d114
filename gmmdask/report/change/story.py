"""What changed, in sentences and in rows of words. Digits, order and how much is told are decided here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gmmdask.report.change.findings import Challenge, Change, ColumnTest, Gain, Move
from gmmdask.report.findings import Findings
from gmmdask.report.wording import NOTHING, brief, count, day, measure, percent, plural, shortened, signed

MOST_MOVES, MOST_ALARMS, MOST_NEAR = 5, 10, 3
LONGEST_NAME = 40
DEEPEST_TINT = 0.45
PART_WORDS = {"weight": "share of the rows", "mean": "means", "covariance": "shape"}
STATISTICS = {
    "psi": "distribution (PSI)",
    "ks": "largest gap between distributions",
    "wasserstein": "mean distance that values moved",
    "null_rate": "missing cells",
    "row_count": "number of rows",
    "unit_change": "change of unit",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One cell of the table of what moved: a share of the whole gain, and how deep it is tinted."""

    told: str
    tint: float


@dataclass(frozen=True, kw_only=True, slots=True)
class MoveRow:
    """A segment with its parts and their sum; the id is None for all the others together."""

    segment_id: int | None
    label: str
    parts: tuple[Part, ...]
    total: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TestRow:
    """A measurement of a column in words."""

    column: str
    what: str
    value: str
    usual: str
    limit: str
    told: str
    is_alarm: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelRow:
    """The champion or the challenger."""

    role: str
    model: str
    trained: str
    score: str
    outcome: str


def verdict_words(change: Change) -> str:
    """Return the verdict with its reason."""
    if change.window is None and change.verdict == "keep":
        return f"Too early to tell: {change.reason}."
    called = {
        "keep": "The verdict is keep",
        "warm-start": "The verdict is warm-start, a retraining from the champion",
        "refit": "The verdict is refit, a training anew",
    }
    return f"{called.get(change.verdict, f'The verdict is {change.verdict}')}: {change.reason}."


def night_words(change: Change) -> str:
    """Return what is to be said of tonight and of the last few nights; empty where tonight brought no rows."""
    told = [_alone_words(change.night)] if change.night is not None else []
    if change.recent:
        told += [*map(sentence, change.recent), "That is an alarm, and decides nothing."]
    return " ".join(told)


def _alone_words(night: Gain) -> str:
    if night.is_alarm and night.reason:
        return f"{sentence(night.reason)} That alone is an alarm, and decides nothing."
    if night.limit is None:
        return f"Tonight alone, it would gain {measure(night.value)} nats per row; what is ordinary is not known yet."
    return (
        f"Tonight alone is ordinary: it would gain {measure(night.value)} nats per row, and up to "
        f"{measure(night.limit)} is."
    )


def unit_words(change: Change) -> list[str]:
    """Return which columns seem to have come in another unit, and what that means for the verdict."""
    left_out = (
        "Such a night does not count for the verdict: retraining would not mend it, the source of the column can."
    )
    return [f"{sentence(test.reason)} {left_out}" for test in change.unit_changes]


def alarm_sentences(change: Change) -> list[str]:
    """Return all alarms in words, a change of unit first and the night as a whole next."""
    reasons = [test.reason for test in change.alarms]
    night = [change.night.reason] if change.night is not None and change.night.is_alarm else []
    night += change.recent
    number = len(change.unit_changes)
    return [sentence(reason) for reason in (*reasons[:number], *night, *reasons[number:]) if reason]


def sentence(text: str) -> str:
    """Return a text that begins with a capital and ends with a full stop."""
    told = text.strip().rstrip(".")
    return f"{told[:1].upper()}{told[1:]}." if told else ""


def largest_words(change: Change, findings: Findings) -> str:
    """Return which part of which segment moved most; empty where nothing did."""
    whole = sum(move.total for move in change.moves)
    if not change.moves or whole <= 0:
        return ""
    ranked = ((getattr(move, part), -at, part, move) for at, move in enumerate(change.moves) for part in PART_WORDS)
    value, _, part, move = max(ranked, key=lambda found: found[:2])
    label = shortened(findings.label(move.segment_id), LONGEST_NAME)
    return f"The {PART_WORDS[part]} of {label} moved most: {percent(value / whole)} of the gain."


def move_rows(change: Change, findings: Findings) -> list[MoveRow]:
    """Return the segments that moved most, in shares of the whole gain, and the others together."""
    whole = sum(move.total for move in change.moves)
    if whole <= 0:
        return []
    shown, others = change.moves[:MOST_MOVES], change.moves[MOST_MOVES:]
    rows = [_move_row(move.segment_id, findings.label(move.segment_id), [move], whole) for move in shown]
    return [*rows, _move_row(None, plural(len(others), "other"), others, whole)] if others else rows


def _move_row(segment_id: int | None, label: str, moves: Sequence[Move], whole: float) -> MoveRow:
    shares = [max(0.0, sum(getattr(move, part) for move in moves) / whole) for part in PART_WORDS]
    return MoveRow(
        segment_id=segment_id,
        label=shortened(label, LONGEST_NAME),
        parts=tuple(Part(told=f"{share:.0%}", tint=round(DEEPEST_TINT * share**0.5, 3)) for share in shares),
        total=f"{max(0.0, sum(move.total for move in moves) / whole):.0%}",
    )


def test_rows(change: Change) -> list[TestRow]:
    """Return the alarms, and of the columns without one those that came nearest."""
    alarms = change.alarms[:MOST_ALARMS]
    taken = {test.column for test in change.alarms}
    near: list[ColumnTest] = []
    for test in change.tests[len(change.alarms) :]:
        if len(near) < MOST_NEAR and test.nearness > 0 and test.column not in taken:
            near.append(test)
            taken.add(test.column)
    return [_test_row(test) for test in (*alarms, *near)]


def alarms_left(change: Change) -> int:
    """Return how many alarms are not among the rows."""
    return max(0, len(change.alarms) - MOST_ALARMS)


def _test_row(test: ColumnTest) -> TestRow:
    what = STATISTICS.get(test.statistic, test.statistic.replace("_", " "))
    if test.statistic == "category_rate":
        what = f"rows with {shortened(test.category or '', LONGEST_NAME)}"
    return TestRow(
        column=test.column or "the night",
        what=what,
        value=_number(test.value, test),
        usual=_number(test.usual, test),
        limit=_number(test.limit, test),
        told=sentence(test.reason) if test.is_alarm else _near(test),
        is_alarm=test.is_alarm,
    )


def _near(test: ColumnTest) -> str:
    if test.nearness >= 1:
        return "Beyond the limit tonight; an alarm if it stays."
    return f"No alarm: {test.nearness:.0%} of the way to the limit."


def _number(value: float | None, test: ColumnTest) -> str:
    if value is None:
        return NOTHING
    if test.unit == "share":
        return percent(value)
    if test.unit == "rows":
        return count(value)
    if test.unit == "ratio":
        return f"× {measure(value)}"
    return f"{measure(value)} sd" if test.unit == "sd" else measure(value)


def gain_words(gain: Gain) -> str:
    """Return a gain and its limit."""
    limit = "" if gain.limit is None else f", up to {measure(gain.limit)} is ordinary"
    return f"{measure(gain.value)} nats per row{limit}"


def challenge_words(challenge: Challenge) -> str:
    """Return what was done about the verdict."""
    if challenge.challenger_id is None:
        told = sentence(challenge.reason)
        return (told and f"No challenger came of it. {told}") or "Nothing was trained: the settings only announce it."
    outcome = "won, and is the champion now" if challenge.is_promoted else "did not win, and the champion was kept"
    how = "retrained from the champion" if challenge.action == "warm-start" else "trained anew"
    return f"A challenger, {how}, {outcome}. {sentence(challenge.reason)}".strip()


def model_rows(challenge: Challenge, findings: Findings) -> list[ModelRow]:
    """Return champion and challenger; empty where none was trained."""
    if challenge.challenger_id is None:
        return []
    before = findings.before
    trained = ""
    if before is not None and before.dt is not None:
        trained = f"{day(before.dt)}, {plural(before.training_rows or 0, 'row')}"
    rows = challenge.training_rows
    return [
        ModelRow(
            role="Champion",
            model=NOTHING if before is None else brief(before.model_id),
            trained=trained or NOTHING,
            score=_score(challenge.champion_score),
            outcome="replaced" if challenge.is_promoted else "kept",
        ),
        ModelRow(
            role="Challenger",
            model=brief(challenge.challenger_id),
            trained="tonight" if rows is None else f"tonight, {plural(rows, 'row')}",
            score=_score(challenge.challenger_score) + _difference(challenge),
            outcome="promoted" if challenge.is_promoted else "not promoted",
        ),
    ]


def _score(score: float | None) -> str:
    return NOTHING if score is None else signed(score, 4).removeprefix("+")


def _difference(challenge: Challenge) -> str:
    return "" if challenge.difference is None else f" ({signed(challenge.difference, 4)})"
