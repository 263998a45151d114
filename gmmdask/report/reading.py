"""Read what a report tells out of the warehouse. Every number of the report is one that was published."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from gmmdask.errors import UnknownNameError
from gmmdask.report import queries
from gmmdask.report.findings import Before, Certainty, Densities, Findings, Origin, Profiles, Published, Row, Segment
from gmmdask.training.results import Candidate
from gmmdask.warehouse import Queries, Warehouse

DENSITY_BINS = 60
STRANGEST_ROWS = 12
LISTED_PARTITIONS = 400
STRUCTURE_ORDER = ("spherical", "diag", "tied", "full")
PLAIN_UNITS = ("rows", "share", "feature")
"""Units of `segment_profiles` that say nothing about a feature's own unit."""


def latest_run(warehouse: Warehouse, segmentation: str) -> str:
    """Return the run that was published last.

    Raises
    ------
    UnknownNameError
        Nothing of this segmentation was published.
    WarehouseError
        The warehouse cannot be read.
    """
    found = warehouse.query(queries.LATEST, {"segmentation": segmentation}).to_pylist()
    if not found:
        raise UnknownNameError(f"nothing was published of a segmentation {segmentation!r}; run a night first")
    return str(found[0]["run_id"])


def read_findings(warehouse: Warehouse, run_id: str, units: Mapping[str, str] | None = None) -> Findings:
    """Return everything a report tells of a run.

    Parameters
    ----------
    warehouse : Warehouse
    run_id : str
    units : mapping of str to str, optional
        Units of features, where they are known.

    Raises
    ------
    UnknownNameError
        No run of this id was published.
    WarehouseError
        The warehouse cannot be read.
    """
    with warehouse.reading() as open_warehouse:
        return _read(open_warehouse, run_id, units or {})


def _read(warehouse: Queries, run_id: str, units: Mapping[str, str]) -> Findings:
    runs = _rows(warehouse, queries.RUN, run_id=run_id)
    published = _rows(warehouse, queries.PUBLISHED, run_id=run_id)
    if not runs or not published[0]["dates"]:
        raise UnknownNameError(
            f"run {run_id!r} is not in the warehouse; the view current_assignments names those that are"
        )
    run = runs[0]
    origin = _origin(warehouse, run)
    segments = _segments(warehouse, run, origin)
    candidates, best = _grid(warehouse, run_id, origin)
    return Findings(
        run=run,
        published=Published(**published[0]),
        segments=segments,
        profiles=_profiles(_rows(warehouse, queries.PROFILES, run_id=run_id), run, segments, units),
        certainty=_certainty(warehouse, run),
        densities=_densities(warehouse, run),
        strangest=_rows(warehouse, queries.STRANGEST, run_id=run_id, limit=STRANGEST_ROWS),
        drift=_rows(warehouse, queries.DRIFT, run_id=run_id),
        lineage=_rows(warehouse, queries.LINEAGE, run_id=run_id),
        partitions=_rows(warehouse, queries.PARTITIONS, run_id=run_id, limit=LISTED_PARTITIONS),
        candidates=candidates,
        best=best,
        origin=origin,
        warnings=tuple(json.loads((run if origin is None else asdict(origin))["warnings"] or "[]")),
        names={row["segment_id"]: row["name"] for row in _of_segmentation(warehouse, queries.NAMES, run)},
        before=_before(warehouse, run),
    )


def _rows(warehouse: Queries, sql: str, **parameters: Any) -> list[dict[str, Any]]:
    return warehouse.query(sql, parameters).to_pylist()


def _scored(warehouse: Queries, sql: str, run: Row, **parameters: Any) -> list[dict[str, Any]]:
    return _rows(warehouse, sql, segmentation=run["segmentation"], run_id=run["run_id"], **parameters)


def _of_segmentation(warehouse: Queries, sql: str, run: Row, **parameters: Any) -> list[dict[str, Any]]:
    return _rows(warehouse, sql, segmentation=run["segmentation"], **parameters)


def _before(warehouse: Queries, run: Row) -> Before | None:
    """Return the champion before a run that trained a challenger."""
    if run["challenger_id"] is None:
        return None
    champions = _scored(warehouse, queries.BEFORE, run)
    if not champions:
        return None
    model_id = champions[0]["champion_id"]
    found = _of_segmentation(warehouse, queries.ORIGIN, run, model_id=model_id)
    return Before(model_id=model_id, **({name: found[0][name] for name in ("dt", "training_rows")} if found else {}))


def _origin(warehouse: Queries, run: Row) -> Origin | None:
    """Return where the model was trained, if not in this run."""
    found = _of_segmentation(warehouse, queries.ORIGIN, run, model_id=run["model_id"])
    return Origin(**found[0]) if found and found[0]["run_id"] != run["run_id"] else None


def _segments(warehouse: Queries, run: Row, origin: Origin | None) -> tuple[Segment, ...]:
    earlier = (
        []
        if origin is None
        else _of_segmentation(warehouse, queries.SHARES, run, model_id=run["model_id"], dt=run["dt"])
    )
    shares = {row["segment_id"]: row["share"] for row in earlier}
    rows = _rows(warehouse, queries.SEGMENTS, run_id=run["run_id"])
    return tuple(Segment(**row, earlier_share=shares.get(row["segment_id"])) for row in rows)


def _grid(warehouse: Queries, run_id: str, origin: Origin | None) -> tuple[tuple[Candidate, ...], Candidate | None]:
    # A run that kept its champion may have a grid as well: that of a challenger which lost.
    rows = _rows(warehouse, queries.GRID, run_id=run_id if origin is None else origin.run_id)
    rows.sort(key=lambda row: (STRUCTURE_ORDER.index(row["covariance_type"]), row["n_components"]))
    candidates = tuple(_candidate(row) for row in rows)
    winners = (candidate for candidate, row in zip(candidates, rows, strict=True) if row["is_best"])
    return candidates, next(winners, None)


def _candidate(row: Row) -> Candidate:
    numbers = ("log_likelihood", "aic", "bic", "icl", "holdout_score", "remaining_gain")
    return Candidate(
        covariance_type=row["covariance_type"],
        n_components=row["n_components"],
        parameters=None,
        n_parameters=row["n_parameters"],
        status=row["status"],
        reason=row["reason"] or "",
        **{name: math.nan if row[name] is None else row[name] for name in numbers},
    )


def _certainty(warehouse: Queries, run: Row) -> dict[int, Certainty]:
    neighbours: dict[int, int] = {}
    for row in _scored(warehouse, queries.NEIGHBOURS, run):
        if row["other"] != row["component"]:
            neighbours.setdefault(row["component"], row["other"])
    return {
        row["component"]: Certainty(
            core=row["core"],
            boundary=row["boundary"],
            between=row["rows"] - row["core"] - row["boundary"],
            neighbour=neighbours.get(row["component"]),
        )
        for row in _scored(warehouse, queries.CERTAINTY, run)
    }


def _densities(warehouse: Queries, run: Row) -> Densities | None:
    (found,) = _scored(warehouse, queries.DENSITY_RANGE, run)
    if found["lowest"] is None or found["lowest"] == found["highest"]:
        return None
    threshold = run["anomaly_threshold"]
    low = found["low"] if threshold is None else min(found["low"], threshold)
    low = max(found["lowest"], low - 0.15 * (found["highest"] - low))
    width = (found["highest"] - low) / DENSITY_BINS
    counts = [0] * DENSITY_BINS
    for row in _scored(warehouse, queries.DENSITIES, run, low=low, width=width, last=DENSITY_BINS - 1):
        counts[row["bin"]] = row["rows"]
    return Densities(low=low, width=width, counts=tuple(counts))


def _profiles(rows: Sequence[Row], run: Row, segments: Sequence[Segment], units: Mapping[str, str]) -> Profiles:
    measured = {(row["segment_id"], row["feature"], row["statistic"]): row["value"] for row in rows if _is_numeric(row)}
    own_units = {row["feature"]: row["unit"] for row in rows if _is_numeric(row) and row["unit"] not in PLAIN_UNITS}
    settings = json.loads(run["settings"] or "{}")
    unordered = Profiles(
        features=_ordered((feature for _, feature, _ in measured), settings.get("features", ())),
        described=_ordered((row["feature"] for row in rows if not _is_numeric(row)), settings.get("describe", ())),
        measured=measured,
        categories=_categories(rows),
        units={**own_units, **units},
    )
    telling = sorted(unordered.features, key=lambda feature: -_separation(unordered, segments, feature))
    return replace(unordered, features=tuple(telling))


def _is_numeric(row: Row) -> bool:
    return row["category"] is None


def _ordered(found: Iterable[str], wished: Sequence[str]) -> tuple[str, ...]:
    names = set(found)
    known = [name for name in wished if name in names]
    return (*known, *sorted(names - set(known)))


def _separation(profiles: Profiles, segments: Sequence[Segment], feature: str) -> float:
    """Return the share of a feature's variance that lies between segments."""
    return sum(one.share * (profiles.difference(one.segment_id, feature) or 0.0) ** 2 for one in segments)


def _categories(rows: Sequence[Row]) -> dict[tuple[int | None, str], list[tuple[str, float]]]:
    shares: dict[tuple[int | None, str], list[tuple[str, float]]] = {}
    for row in rows:
        if row["category"] is not None and row["statistic"] == "share":
            shares.setdefault((row["segment_id"], row["feature"]), []).append((row["category"], row["value"]))
    return {key: sorted(found, key=lambda pair: (-pair[1], pair[0])) for key, found in shares.items()}
