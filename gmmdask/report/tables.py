"""The report's tables, as rows of texts: what the template lays out. Digits and order are decided here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from gmmdask.report.figures import STRONG_DIFFERENCE
from gmmdask.report.findings import Findings, Profiles, Row, Segment
from gmmdask.report.wording import count, day, duration, measure, moment, percent, shortened, span

TELLING_DIFFERENCE = 0.5
"""Standard deviations from the whole from which on a feature marks a segment."""

STEADY_RATIO = 0.5
"""Of a segment's standard deviation to that of the whole, below which a feature marks a segment whose means mark nothing."""

MARKING_FEATURES, TOP_VALUES = 3, 3
OVER_REPRESENTED = 1.5
SEGMENTS_ABREAST = 12
LONGEST_VALUE = 28


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A feature that sets a segment apart: an arrow, or = where it varies little, its name, and the segment's mean."""

    arrow: str
    feature: str
    mean: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A mean with its standard deviation, and how the cell is tinted (−1 to 1: far below to far above the whole)."""

    mean: str
    spread: str = ""
    tint: float = 0.0

    @property
    def background(self) -> str:
        """The tint as a colour."""
        red_green_blue = "194,73,61" if self.tint > 0 else "59,111,182"
        return f"rgba({red_green_blue},{abs(self.tint) * 0.34:.2f})"


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileRow:
    """One feature: the whole, then every segment."""

    feature: str
    unit: str
    whole: Cell
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """A frequent value of a described column."""

    value: str
    share: str
    is_marked: bool = False


def marks(profiles: Profiles, segment: Segment) -> list[Mark]:
    """Return the features in which a segment differs most from the whole.

    Where its means do not differ, those that vary least in it compared with the whole; none where it varies as much.
    """
    differences = {feature: profiles.difference(segment.segment_id, feature) or 0.0 for feature in profiles.features}
    strong = sorted(differences, key=lambda feature: -abs(differences[feature]))[:MARKING_FEATURES]
    apart = [
        Mark(
            arrow=("↑" if differences[feature] > 0 else "↓")
            * (2 if abs(differences[feature]) > STRONG_DIFFERENCE else 1),
            feature=shortened(feature, LONGEST_VALUE),
            mean=_mean(profiles, segment.segment_id, feature),
        )
        for feature in strong
        if abs(differences[feature]) >= TELLING_DIFFERENCE
    ]
    return apart or _steady(profiles, segment)


def _steady(profiles: Profiles, segment: Segment) -> list[Mark]:
    """Return the features that vary far less in a segment than in the whole, the steadiest first."""
    spreads = {feature: profiles.value(segment.segment_id, feature, "sd") for feature in profiles.features}
    wholes = {feature: profiles.value(None, feature, "sd") for feature in profiles.features}
    ratios = {
        feature: own / whole for feature, own in spreads.items() if own is not None and (whole := wholes[feature])
    }
    steady = [feature for feature in sorted(ratios, key=lambda one: ratios[one]) if ratios[feature] < STEADY_RATIO]
    return [
        Mark(arrow="=", feature=shortened(feature, LONGEST_VALUE), mean=_mean(profiles, segment.segment_id, feature))
        for feature in steady[:MARKING_FEATURES]
    ]


def abreast(segments: Sequence[Segment]) -> list[Sequence[Segment]]:
    """Return the segments in equal groups that fit side by side."""
    groups = max(1, -(-len(segments) // SEGMENTS_ABREAST))
    size = max(1, -(-len(segments) // groups))
    return [segments[start : start + size] for start in range(0, len(segments), size)]


def profile_rows(profiles: Profiles, segments: Sequence[Segment]) -> list[ProfileRow]:
    """Return means and standard deviations in original units, a row a feature."""
    return [
        ProfileRow(
            feature=feature,
            unit=profiles.units.get(feature, ""),
            whole=_cell(profiles, None, feature),
            cells=tuple(_cell(profiles, one.segment_id, feature) for one in segments),
        )
        for feature in profiles.features
    ]


def top_values(profiles: Profiles, segment_id: int | None, column: str) -> list[Value]:
    """Return the most frequent values of a described column; marked where the segment has many more than the whole."""
    return [
        Value(
            value=shortened(value, LONGEST_VALUE),
            share=percent(share),
            is_marked=segment_id is not None and share > OVER_REPRESENTED * profiles.share(None, column, value),
        )
        for value, share in profiles.categories.get((segment_id, column), ())[:TOP_VALUES]
    ]


def run_facts(findings: Findings) -> list[tuple[str, str]]:
    """Return what the run was, as names and texts."""
    run, origin = findings.run, findings.origin
    facts = [
        ("Segmentation", run["segmentation"]),
        ("Dates published", span(findings.published.first, findings.published.last)),
        ("Run", f"{run['run_id']} ({run['kind']}; {run['action']})"),
        ("Model", run["model_id"]),
        ("Trained", "in this run" if origin is None else f"in run {origin.run_id}, {day(origin.dt)}"),
        ("Challenger", run["challenger_id"]),
        ("Held-out scores", _scores(run)),
        ("Why", run["reason"]),
        ("Began", moment(run["started_at"])),
        ("Took", _times(run)),
        ("Published", moment(findings.published.at)),
        ("Rows", _rows_by_status(run)),
        ("Rows trained on", run["training_rows"] and count(run["training_rows"])),
        ("Reads of the training data", run["passes"] and count(run["passes"])),
        ("Settings", f"hash {run['settings_hash']}"),
        ("Numeric fingerprint", run["numeric_fingerprint"]),
        ("Versions", ", ".join(f"{name} {version}" for name, version in json.loads(run["versions"]).items())),
    ]
    return [(name, str(fact)) for name, fact in facts if fact]


def settings_text(run: Row) -> str:
    """Return the settings as indented JSON, or nothing where they were not kept."""
    return json.dumps(json.loads(run["settings"]), indent=2, ensure_ascii=False) if run["settings"] else ""


def lineage_rows(findings: Findings) -> list[tuple[str, str, str, str]]:
    """Return purpose, partitions, rows and dates of what was read."""
    purposes = {"train": "trained on", "score": "given segments"}
    return [
        (
            purposes.get(row["purpose"], str(row["purpose"])),
            count(row["partitions"]),
            count(row["rows"]),
            "" if row["first"] is None else span(row["first"], row["last"]),
        )
        for row in findings.lineage
    ]


def _mean(profiles: Profiles, segment_id: int | None, feature: str) -> str:
    return measure(profiles.value(segment_id, feature, "mean"), profiles.value(None, feature, "sd"))


def _cell(profiles: Profiles, segment_id: int | None, feature: str) -> Cell:
    spread = profiles.value(None, feature, "sd")
    own = profiles.value(segment_id, feature, "sd")
    difference = None if segment_id is None else profiles.difference(segment_id, feature)
    return Cell(
        mean=_mean(profiles, segment_id, feature),
        spread="" if own is None else measure(own, spread),
        tint=max(-1.0, min(1.0, (difference or 0.0) / STRONG_DIFFERENCE)),
    )


def _scores(run: Row) -> str:
    scores = (("champion", run["champion_score"]), ("challenger", run["challenger_score"]))
    return ", ".join(f"{name} {score:,.4f} nats per row" for name, score in scores if score is not None)


def _times(run: Row) -> str:
    told = duration((run["finished_at"] - run["started_at"]).total_seconds())
    steps = json.loads(run["step_seconds"] or "{}")
    parts = ", ".join(f"{step} {duration(seconds)}" for step, seconds in steps.items())
    return f"{told} ({parts})" if parts else told


def _rows_by_status(run: Row) -> str:
    statuses = ", ".join(
        f"{count(run[f'rows_{status}'])} {status}"
        for status in ("ok", "missing", "unseen", "invalid")
        if run[f"rows_{status}"]
    )
    return f"{count(run['rows_total'])} ({statuses})" if statuses else count(run["rows_total"])
