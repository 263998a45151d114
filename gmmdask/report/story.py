"""What happened in a run, told in three sentences at most, and what is worth a second look."""

from __future__ import annotations

import math

from gmmdask.report import wording
from gmmdask.report.change.findings import Change, change_of
from gmmdask.report.change.story import alarm_sentences
from gmmdask.report.findings import CORE, Findings, Segment
from gmmdask.report.wording import count, day, listed, percent, plural, shortened, signed

LONGEST_NAME, LONGEST_COLUMN = 60, 40
NAMED_ALARMS = 3
NOTABLE_SHIFT, NOTABLE_ERRORS = 0.02, 4.0
"""A change of share from the nights before that is worth telling: two points, and four standard errors of a share of the run."""

ACTIONS = {"warm-start": "retrained from the one before", "refit": "trained anew"}
REASONS = {"missing": "a value is missing", "unseen": "a category is new", "invalid": "a value is invalid"}


def sentences(findings: Findings) -> tuple[str, ...]:
    """Return what was labelled, by which model, and what came out, alarms included; nothing comes out of no rows."""
    change = change_of(findings)
    told = _labelled(findings), _model(findings, change), _outcome(findings, change)
    return tuple(sentence for sentence in told if sentence)


def notes(findings: Findings) -> list[str]:
    """Return what is worth a second look; often nothing."""
    found = [*_alarms(findings), *_shifts(findings), *_empty(findings), *_grid_notes(findings)]
    return list(dict.fromkeys(found))


def span(findings: Findings) -> str:
    """Return the dates that were published, in words."""
    published = findings.published
    told = wording.span(published.first, published.last)
    return told if published.dates == 1 else f"{told} ({plural(published.dates, 'date')})"


def _labelled(findings: Findings) -> str:
    run = findings.run
    total, ok = run["rows_total"], run["rows_ok"]
    others = [
        f"{count(run[f'rows_{status}'])} because {reason}"
        for status, reason in REASONS.items()
        if run[f"rows_{status}"]
    ]
    left_out = f"; left out were {listed(others)}." if others else "."
    read = f"{plural(total, 'row')} of {span(findings)} {'was' if total == 1 else 'were'} read"
    if not ok:
        return f"No row could be given a segment: {read}{left_out}"
    told = f"{read}, and {count(ok)} of them ({percent(ok / total)})"
    return f"{told} belong to one of {plural(len(findings.segments), 'segment')}{left_out}"


def _model(findings: Findings, change: Change | None) -> str:
    run, best, origin = findings.run, findings.best, findings.origin
    if origin is not None:
        return (
            f"The model in force was kept: it was trained in the night of {day(origin.dt)} "
            f"on {plural(origin.training_rows, 'row')}{_not_replaced(change)}."
        )
    if run["training_rows"] is None:
        return f"The model in force was kept{_not_replaced(change)}."
    how = ACTIONS.get(run["action"], "trained")
    told = f"The model was {how} on {plural(run['training_rows'], 'row')}{_won(change)}"
    if best is None or not findings.candidates:
        return f"{told}."
    return (
        f"{told}: of {plural(len(findings.candidates), 'candidate')}, the one with {best.covariance_type} covariances "
        f"and {plural(best.n_components, 'component')} describes them best."
    )


def _not_replaced(change: Change | None) -> str:
    """Return why a model was kept though the verdict was against it, as the end of a sentence."""
    if change is None or change.challenge is None:
        return ""
    called_for = {"warm-start": "a retraining", "refit": "a new training"}.get(change.verdict, change.verdict)
    if change.challenge.challenger_id is None:
        return f"; the data has moved, and {called_for} is called for"
    return f"; the data has moved, but {called_for} tonight brought nothing better"


def _won(change: Change | None) -> str:
    if change is None or change.challenge is None:
        return ""
    difference = change.challenge.difference
    by = "" if difference is None else f" by {signed(difference, 4).removeprefix('+')} nats per row"
    return f" because the data has moved, and beats the one before{by}"


def _outcome(findings: Findings, change: Change | None) -> str:
    run, core = findings.run, findings.core_rows
    if not findings.segments or not run["rows_ok"]:
        alarmed = _alarmed(change).removeprefix("; ")
        return f"{alarmed[:1].upper()}{alarmed[1:]}." if alarmed else ""
    largest = max(findings.segments, key=lambda one: one.share)
    parts = []
    if core is not None:
        parts.append(f"{percent(core / run['rows_ok'])} belong to theirs with a probability of at least {CORE}")
    if run["rows_anomalous"] is not None:
        is_one = run["rows_anomalous"] == 1
        parts.append(
            "1 stands out as an anomaly" if is_one else f"{count(run['rows_anomalous'])} stand out as anomalies"
        )
    told = f"The largest segment, {called(largest)}, holds {percent(largest.share)} of these rows"
    return f"{told}; {listed(parts)}{_alarmed(change)}." if parts else f"{told}{_alarmed(change)}."


def _alarmed(change: Change | None) -> str:
    """Return what raised an alarm, as the end of a sentence; empty where nothing did."""
    if change is None:
        return ""
    raised = ["the night as a whole"] if change.night is not None and change.night.is_alarm else []
    raised += ["the last nights together"] if change.recent else []
    columns = dict.fromkeys(shortened(test.column or "the number of rows", LONGEST_COLUMN) for test in change.alarms)
    raised += list(columns)
    if not raised:
        return ""
    named, left = raised[:NAMED_ALARMS], len(raised) - NAMED_ALARMS
    named += [plural(left, "more column")] if left > 0 else []
    return f"; {'an alarm was' if len(raised) == 1 else 'alarms were'} raised by {listed(named)}"


def called(segment: Segment) -> str:
    """Return a segment as a sentence calls it."""
    return f"“{shortened(segment.name, LONGEST_NAME)}”" if segment.name else f"number {segment.segment_id}"


def _alarms(findings: Findings) -> list[str]:
    """Return the first alarms in words; the verdict has a sentence of its own."""
    change = change_of(findings)
    told = [] if change is None else alarm_sentences(change)
    left = len(told) - NAMED_ALARMS
    more = [f"{plural(left, 'more alarm')}: see what has changed."] if left > 0 else []
    return told[:NAMED_ALARMS] + more


def _shifts(findings: Findings) -> list[str]:
    if not findings.run["rows_ok"]:
        return []  # no row has a segment, which is told first
    moved = [
        (one, one.share - one.earlier_share)
        for one in findings.segments
        if one.earlier_share is not None and abs(one.share - one.earlier_share) >= _notable_shift(one, findings)
    ]
    moved.sort(key=lambda pair: -abs(pair[1]))
    return [
        f"The share of {called(one)} is {percent(one.share)}, against {percent(one.earlier_share)} in the nights before under this model."
        for one, _ in moved[:3]
    ]


def _notable_shift(segment: Segment, findings: Findings) -> float:
    variance = segment.share * (1 - segment.share) / max(findings.run["rows_ok"], 1)
    return max(NOTABLE_SHIFT, NOTABLE_ERRORS * math.sqrt(variance))


def _empty(findings: Findings) -> list[str]:
    names = [called(one) for one in findings.segments if not one.size]
    return [f"No row belongs to {listed(names)}."] if names and findings.run["rows_ok"] else []


def _grid_notes(findings: Findings) -> list[str]:
    # What a verdict led to is told with it.
    reason = findings.run["reason"] if findings.run["verdict"] is None else ""
    unsound = sum(candidate.status == "disqualified" for candidate in findings.candidates)
    # The story tells that a first run is one; what else the reason says is about the grid.
    about_grid = str(reason or "").removeprefix(f"No model was in force before {findings.run['dt']}.").strip()
    told = [about_grid] if about_grid and findings.origin is None else []
    if unsound and findings.origin is None:
        told.append(f"{plural(unsound, 'candidate')} of the grid could not be trusted: see how the model was chosen.")
    return told
