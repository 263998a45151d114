"""Runs that were made up and published, with everything that a report should say of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gmmdask.mixture.alignment import Alignment, align
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.stack import Reference
from gmmdask.mixture.structures import FULL
from gmmdask.preparation.recipe import Recipe
from gmmdask.scoring import LeafScores, SegmentModel, score_leaf
from gmmdask.warehouse import Publication, open_staging
from gmmdask.warehouse.duckdb_file import DuckDBFile

SEGMENTATION = "customers"
RUN, MODEL = "5ca1ab1e0ddba115", "0ff1cedec0dedbad"
NIGHT = date(2024, 2, 29)
BEGAN = datetime(2024, 3, 1, 2, 15, tzinfo=UTC)
DRIFT_REASON = "retraining would gain 0.00412 nats per row, and up to 0.0019 is ordinary"
GATE_REASON = "On 1,234 held-out rows the challenger is +0.0123 nats per row against the champion: promoted"
DESCRIBED = ("region", "preferred_contact_channel_of_the_household")
LONG_FEATURES = (
    "average_monthly_household_income_after_tax_in_the_last_three_years",
    "number_of_support_tickets_opened_per_contract_and_quarter",
    "share_of_purchases_made_on_mobile_devices",
    "days_since_first_order",
)
LONG_NAMES = (
    "Families in large flats that order groceries every week",
    "Bargain hunters",
    "Loyal customers of the first hour with rising baskets and few returns",
    "Students & sharers <city>",
)


@dataclass(frozen=True, kw_only=True)
class World:
    """A published run: where it is, the model that labelled it, and the rows with their scores."""

    warehouse: DuckDBFile
    model: SegmentModel
    rows: np.ndarray
    scores: LeafScores
    described: Mapping[str, np.ndarray]
    run_id: str = RUN


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What kind of run is made up."""

    n_segments: int = 3
    n_features: int = 4
    n_rows: int = 600
    names: Sequence[str] = ()
    feature_names: Sequence[str] = ()
    holes: int = 7
    threshold: float | None = None
    has_grid: bool = True
    has_drift: bool = False
    warnings: Sequence[str] = ()
    seed: int = 0
    run_id: str = RUN
    dt: date = NIGHT


def features_of(wish: Wish) -> tuple[str, ...]:
    given = tuple(wish.feature_names)[: wish.n_features]
    return (*given, *(f"measurement_{number:02d}" for number in range(len(given), wish.n_features)))


def made_up_model(wish: Wish) -> SegmentModel:
    rng = np.random.default_rng(wish.seed)
    k, d = wish.n_segments, wish.n_features
    roots = rng.normal(size=(k, d, d)) / np.sqrt(d)
    parameters = MixtureParameters(
        structure=FULL,
        weights=np.sort(rng.dirichlet(np.full(k, 3.0)))[::-1],
        means=rng.normal(size=(k, d)) * np.minimum(1.0, 2.4 / np.sqrt(d)),
        covariances=0.3 * roots @ roots.transpose(0, 2, 1) + 0.4 * np.eye(d),
    )
    scale = 10.0 ** rng.uniform(-3, 5, d)
    recipe = Recipe.affine(features=features_of(wish), centre=scale * rng.normal(size=d) * 2, scale=scale)
    return SegmentModel(
        recipe=recipe,
        parameters=parameters,
        reference=Reference.of(parameters),
        segment_ids=tuple(range(1, k + 1)),
        anomaly_threshold=wish.threshold,
    )


def made_up_rows(model: SegmentModel, wish: Wish) -> np.ndarray:
    """Rows drawn from the mixture, a few of them with a hole."""
    rng = np.random.default_rng(wish.seed + 1)
    parameters = model.parameters
    component = rng.choice(wish.n_segments, wish.n_rows, p=parameters.weights)
    noise = np.linalg.cholesky(parameters.matrices)[component] @ rng.normal(size=(wish.n_rows, wish.n_features, 1))
    rows = model.recipe.invert(np.ascontiguousarray((parameters.means[component] + noise[..., 0]).T))
    rows[0, : wish.holes] = np.nan
    return rows


def publish(folder: Path, wish: Wish | None = None) -> World:
    """Publish one made-up run of a single date."""
    wish = wish or Wish()
    model = made_up_model(wish)
    rows = made_up_rows(model, wish)
    if wish.threshold is None:
        density = score_leaf(rows, model).log_density
        model = SegmentModel(**{**vars(model), "anomaly_threshold": float(np.quantile(density, 0.01))})
    world = World(
        warehouse=DuckDBFile(path=str(folder / "warehouse.duckdb")),
        model=model,
        rows=rows,
        scores=score_leaf(rows, model),
        described=_described(model, rows, wish),
        run_id=wish.run_id,
    )
    publication = Publication(
        segmentation=SEGMENTATION,
        kind="night",
        dt=wish.dt,
        model_id=MODEL,
        run_id=wish.run_id,
        champion_id=MODEL,
    )
    attempt = open_staging(str(folder / "staging")).begin(wish.run_id)
    staged = attempt.write(0, [_assignments(world, wish)])
    attempt.finish([publication], [staged], _tables(world, wish))
    world.warehouse.publish(attempt.load())
    for segment_id, name in zip(model.segment_ids, wish.names, strict=False):
        world.warehouse.name_segment(SEGMENTATION, segment_id, name)
    return world


def full_wish() -> Wish:
    """A run as large as a page must bear: 12 segments, 30 features, long names."""
    names = [LONG_NAMES[number % 4] + ("" if number < 4 else f", {number}") for number in range(12)]
    features = [LONG_FEATURES[number % 4] + ("" if number < 4 else f"_{number}") for number in range(24)]
    return Wish(n_segments=12, n_features=30, n_rows=4_000, names=names, feature_names=features, has_drift=True)


def _described(model: SegmentModel, rows: np.ndarray, wish: Wish) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(wish.seed + 2)
    component = np.zeros(wish.n_rows, dtype=int)
    scores = score_leaf(rows, model)
    component[scores.scored] = scores.component
    regions = np.array(["North", "South", "East", "West & islands"])
    channels = np.array(["letter", "telephone during office hours", "<b>e-mail</b>", "none"])
    return {
        DESCRIBED[0]: regions[np.where(rng.random(wish.n_rows) < 0.6, component % 4, rng.integers(0, 4, wish.n_rows))],
        DESCRIBED[1]: channels[rng.integers(0, 4, wish.n_rows)],
    }


def _assignments(world: World, wish: Wish) -> pa.Table:
    scores, scored = world.scores, world.scores.scored

    def spread(values: np.ndarray) -> list[Any]:
        found = iter(values.tolist())
        return [next(found) if ok else None for ok in scored]

    assert world.model.anomaly_threshold is not None
    return pa.table(
        {
            "dt": pa.array([wish.dt] * len(scored), pa.date32()),
            "id": [f"customer-{number:05d}" for number in range(len(scored))],
            "segment_id": pa.array(spread(scores.component + 1), pa.int64()),
            "component": pa.array(spread(scores.component), pa.int64()),
            "probability": pa.array(spread(scores.probability), pa.float64()),
            "probabilities": pa.array(spread(scores.responsibilities.T), pa.list_(pa.float64())),
            "log_density": pa.array(spread(scores.log_density), pa.float64()),
            "is_anomaly": pa.array(spread(scores.log_density < world.model.anomaly_threshold), pa.bool_()),
            "status": ["ok" if ok else "missing" for ok in scored],
        }
    )


def _tables(world: World, wish: Wish) -> dict[str, list[dict[str, Any]]]:
    return {
        "segments": _segments(world),
        "segment_profiles": list(_profiles(world)),
        "outlying_rows": list(_outlying(world, wish)),
        "grid": _grid(wish) if wish.has_grid else [],
        "drift": list(_drift(world, wish)) if wish.has_drift else [],
        "runs": [_run(world, wish)],
        "lineage": [
            {
                "purpose": purpose,
                "partition_name": f"dt={wish.dt}/part-{part}.parquet",
                "fingerprint": f"{part:032x}",
                "rows": wish.n_rows // 2,
                "dt": wish.dt,
            }
            for purpose in (("train", "score") if wish.has_grid else ("score",))
            for part in range(2)
        ],
    }


def _segments(world: World) -> list[dict[str, Any]]:
    scores, model = world.scores, world.model
    rows = []
    for position, segment_id in enumerate(model.segment_ids):
        own = scores.component == position
        rows.append(
            {
                "segment_id": segment_id,
                "position": position,
                "size": int(own.sum()),
                "share": int(own.sum()) / max(len(own), 1),
                "weight": float(model.parameters.weights[position]),
                "certain_rows": int((scores.probability[own] >= 0.9).sum()),
                "anomalies": int((scores.log_density[own] < model.anomaly_threshold).sum()),
            }
        )
    return rows


def _profiles(world: World) -> Any:
    rows, component = world.rows[:, world.scores.scored], world.scores.component
    groups = {None: np.ones(len(component), dtype=bool)}
    groups |= {one: component == position for position, one in enumerate(world.model.segment_ids)}
    for segment_id, own in groups.items():
        for feature, values in zip(world.model.recipe.features, rows, strict=True):
            if own.any():
                for statistic in ("mean", "std", "min", "max"):
                    yield {
                        "segment_id": segment_id,
                        "feature": feature,
                        "statistic": statistic.replace("std", "sd"),
                        "value": float(getattr(np, statistic)(values[own])),
                        "unit": "feature",
                    }
        for column, values in world.described.items():
            found, counts = np.unique(values[world.scores.scored][own], return_counts=True)
            for category, number in zip(found.tolist(), counts.tolist(), strict=True):
                common = {"segment_id": segment_id, "feature": column, "category": category}
                yield {**common, "statistic": "count", "value": float(number), "unit": "rows"}
                yield {**common, "statistic": "share", "value": number / int(own.sum()), "unit": "share"}


def _outlying(world: World, wish: Wish) -> Any:
    """The twenty rows of lowest density, with their values."""
    scored = np.flatnonzero(world.scores.scored)
    for place, lowest in enumerate(np.argsort(world.scores.log_density)[:20].tolist(), start=1):
        row = int(scored[lowest])
        numbers = dict(zip(world.model.recipe.features, world.rows[:, row].tolist(), strict=True))
        texts = {name: str(values[row]) for name, values in world.described.items()}
        yield {
            "dt": wish.dt,
            "id": f"customer-{row:05d}",
            "place": place,
            "segment_id": int(world.scores.component[lowest]) + 1,
            "log_density": float(world.scores.log_density[lowest]),
            "row_values": json.dumps({**numbers, **texts}),
        }


def _grid(wish: Wish) -> list[dict[str, Any]]:
    cells = []
    for number, structure in enumerate(("spherical", "diag", "tied", "full")):
        for k in range(1, wish.n_segments + 1):
            score = 1e5 / (number + 1) / k + 20 * k
            is_unsound = structure == "full" and k == 1
            cells.append(
                {
                    "covariance_type": structure,
                    "n_components": k,
                    "n_parameters": 10 * k,
                    "log_likelihood": None if is_unsound else -score / 2,
                    "bic": None if is_unsound else score,
                    "aic": None if is_unsound else score * 0.98,
                    "status": "disqualified" if is_unsound else "polished" if k > 2 else "evaluated",
                    "reason": "a component collapsed" if is_unsound else None,
                    "is_best": structure == "full" and k == wish.n_segments,
                }
            )
    return cells


def _drift(world: World, wish: Wish) -> Any:
    """A verdict and a loud night, what moved, a change of unit, and tests of columns of which one raised an alarm."""
    common = {"dt": wish.dt, "window_start": wish.dt - timedelta(days=27), "rows": 28 * wish.n_rows}
    gain = {**common, "scope": "window", "statistic": "gain", "unit": "nats per row", "is_alarm": False}
    decided = {"verdict": "warm-start", "reason": DRIFT_REASON, "is_alarm": True}
    yield {**gain, "value": 0.00412, "reference": 0.00031, "threshold": 0.0019, **decided}
    tonight = {**gain, "scope": "night", "window_start": wish.dt, "rows": wish.n_rows}
    yield {**tonight, "value": 0.021, "threshold": 0.0093, "is_alarm": True, "reason": "tonight's gain is over 0.0093"}
    for segment_id in world.model.segment_ids:
        for number, part in enumerate(("weight", "mean", "covariance")):
            yield {**gain, "segment_id": segment_id, "part": part, "value": (1 + number % 2) * 1e-3 / segment_id**2}
    first, second = world.model.recipe.features[:2]
    test = {**common, "scope": "night", "is_alarm": False, "feature": first}
    rate = {**test, "statistic": "null_rate", "unit": "share", "reference": 0.001, "threshold": 0.004}
    told = f"1.2% of {first} is missing, 0.1% is usual: strong, so at once"
    yield {**rate, "value": 0.012, "is_alarm": True, "reason": told}
    yield {**test, "statistic": "psi", "unit": "nats", "value": 0.3, "reference": 0.0, "threshold": 0.4}
    told = f"{second} looks as if it came in another unit, 0.305 times what it was"
    unit = {**test, "feature": second, "statistic": "unit_change", "unit": "ratio", "value": 0.305}
    yield {**unit, "is_alarm": True, "reason": told}


def made_up_alignment(n_segments: int) -> Alignment:
    """What became of as many segments: the first was split, the two that died became the last or one newly born."""
    rng = np.random.default_rng(n_segments)
    rows = np.repeat(np.arange(n_segments), 40)
    old = np.eye(n_segments + 1)[rows].T
    into = np.where(rows == 0, np.where(rng.random(len(rows)) < 0.5, 0, n_segments), rows)
    new = np.eye(n_segments + 1)[into].T
    ids = [*range(1, n_segments + 1), 99]
    return align(old, new, ids, greatest_id=99)


def _trained_for(wish: Wish) -> dict[str, Any]:
    """What a run says of itself that drift called for."""
    return {
        "verdict": "warm-start",
        "action": "warm-start",
        "status": "alert",
        "challenger_id": MODEL,
        "champion_score": -12.3456,
        "challenger_score": -12.3333,
        "reason": f"Verdict warm-start: {DRIFT_REASON}. {GATE_REASON}.",
    }


def _run(world: World, wish: Wish) -> dict[str, Any]:
    ok = int(world.scores.scored.sum())
    settings = {"features": list(world.model.recipe.features), "describe": list(DESCRIBED)}
    return {
        "run_key": f"key of {wish.run_id}",
        "dt": wish.dt,
        "kind": "night",
        "status": "done",
        "action": "first" if wish.has_grid else "keep",
        "reason": f"No model was in force before {wish.dt}. The winner has the most components that were tried.",
        **(_trained_for(wish) if wish.has_drift else {}),
        "started_at": BEGAN,
        "finished_at": BEGAN + timedelta(seconds=93),
        "rows_total": wish.n_rows,
        "rows_ok": ok,
        "rows_missing": wish.n_rows - ok,
        "rows_unseen": 0,
        "rows_invalid": 0,
        "rows_anomalous": int((world.scores.log_density < world.model.anomaly_threshold).sum()),
        "anomaly_threshold": world.model.anomaly_threshold,
        "warnings": json.dumps(wish.warnings) if wish.has_grid else None,
        "training_rows": ok if wish.has_grid else None,
        "passes": 4 if wish.has_grid else 0,
        "step_seconds": json.dumps({"survey": 8.3, "fit": 61.25}),
        "settings_hash": "c8554fb37f9a7c136f60f31a1f67c45d",
        "settings": json.dumps(settings),
        "numeric_fingerprint": "637311547ab72f20",
        "versions": json.dumps({"gmmdask": "0.1.0", "numpy": "2.4.6"}),
    }
