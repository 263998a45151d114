"""What the views show is what the rules of publication say, for any sequence of publications."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmmdask.warehouse.schema import conform, create_table, create_view
from gmmdask.warehouse.tables import TABLES
from gmmdask.warehouse.views import CHAMPION_BEFORE, VIEWS
from tests.warehouse.examples import NOON

DATES = [date(2013, 5, 1) + timedelta(days=number) for number in range(4)]
SEGMENTATIONS = ["flights", "ships"]
MODELS = ["m1", "m2", "m3"]
SEGMENT = {"position": 0, "size": 2, "share": 1.0, "weight": 1.0}
LABEL = {"segment_id": 7, "status": "ok"}


@dataclass(frozen=True)
class Event:
    """What one run or one decision publishes."""

    segmentation: str
    kind: str
    dates: tuple[date, ...]
    model: str

    @property
    def labels(self) -> bool:
        return self.kind in ("night", "repeat", "rescore")

    @property
    def champion(self) -> str | None:
        return self.model if self.kind in ("night", "promote", "rollback") else None


EVENTS = st.lists(
    st.builds(
        Event,
        segmentation=st.sampled_from(SEGMENTATIONS),
        kind=st.sampled_from(["night", "repeat", "rescore", "promote", "rollback"]),
        dates=st.sets(st.sampled_from(DATES), min_size=1).map(sorted).map(tuple),
        model=st.sampled_from(MODELS),
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def database():
    with duckdb.connect(":memory:") as connection:
        statements = [one for table in TABLES.values() for one in create_table(table)]
        for statement in statements + [one for view in VIEWS.values() for one in create_view(view)]:
            connection.execute(statement)
        yield connection


def _publish(database: duckdb.DuckDBPyConnection, events: list[Event]) -> None:
    """Write events; every run labels two entities of each of its dates and describes one segment."""
    labelled = [(run, event, dt) for run, event, dt in _rows(events) if event.labels]
    _replace(
        database,
        "segments",
        [
            {"run_id": f"run-{run}", "segment_id": 7, "name": f"name in run-{run}", "model_id": event.model, **SEGMENT}
            for run, event in enumerate(events)
            if event.labels
        ],
    )
    _replace(
        database,
        "assignments",
        [
            {"segmentation": event.segmentation, "dt": dt, "id": entity, "run_id": f"run-{run}", **LABEL}
            for run, event, dt in labelled
            for entity in ("a", "b")
        ],
    )
    _replace(
        database,
        "publications",
        [
            {
                "publication_id": number,
                "segmentation": event.segmentation,
                "kind": event.kind,
                "dt": dt,
                "run_id": f"run-{run}" if event.labels else None,
                "model_id": event.model,
                "champion_id": event.champion,
                "published_at": NOON,
            }
            for number, (run, event, dt) in enumerate(_rows(events), start=1)
        ],
    )


def _replace(database: duckdb.DuckDBPyConnection, name: str, rows: list[dict[str, object]]) -> None:
    database.register("rows_to_insert", conform(TABLES[name], rows, {}))
    database.execute(f'DELETE FROM "{name}"')
    database.execute(f'INSERT INTO "{name}" SELECT * FROM rows_to_insert')


def _rows(events: list[Event]) -> list[tuple[int, Event, date]]:
    """Publications as (run, event, date) in the order in which they were written."""
    return [(run, event, dt) for run, event in enumerate(events) for dt in event.dates]


def _expected_labels(events: list[Event]) -> set[tuple[str, date, str, str, str, str]]:
    latest = {}
    for run, event, dt in _rows(events):
        if event.labels:
            latest[event.segmentation, dt] = (f"run-{run}", event.model)
    return {
        (segmentation, dt, entity, run_id, model, f"name in {run_id}")
        for (segmentation, dt), (run_id, model) in latest.items()
        for entity in ("a", "b")
    }


def _expected_champions(events: list[Event], before: date = date.max) -> dict[str, str]:
    champions = {}
    for _, event, dt in _rows(events):
        if event.champion is not None and dt < before:
            champions[event.segmentation] = event.champion
    return champions


def _expected_segments(events: list[Event]) -> set[tuple[str, date, str]]:
    found = set()
    for segmentation, champion in _expected_champions(events).items():
        runs = [
            (dt, order, f"run-{run}")
            for order, (run, event, dt) in enumerate(_rows(events))
            if event.labels and event.segmentation == segmentation and event.model == champion
        ]
        if runs:
            dt, _, run_id = max(runs)
            found.add((segmentation, dt, run_id))
    return found


@settings(max_examples=60)
@given(events=EVENTS)
def test_views_agree_with_the_rules_for_any_sequence_of_publications(database, events):
    """Equality of rows, with nothing shown twice."""
    _publish(database, events)
    labels = database.execute(
        "SELECT segmentation, dt, id, run_id, model_id, segment_name FROM current_assignments"
    ).fetchall()
    assert len(labels) == len(set(labels))
    assert set(labels) == _expected_labels(events)

    champions = database.execute("SELECT segmentation, champion_id FROM champion").fetchall()
    assert len(champions) == len(dict(champions))
    assert dict(champions) == _expected_champions(events)

    segments = database.execute("SELECT segmentation, dt, run_id FROM current_segments").fetchall()
    assert len(segments) == len(set(segments))
    assert set(segments) == _expected_segments(events)


@settings(max_examples=30)
@given(events=EVENTS, segmentation=st.sampled_from(SEGMENTATIONS), dt=st.sampled_from(DATES))
def test_the_champion_before_a_date_is_the_last_one_named_for_an_earlier_date(database, events, segmentation, dt):
    """Equality; none where no earlier date named one."""
    _publish(database, events)
    found = database.execute(CHAMPION_BEFORE, {"segmentation": segmentation, "dt": dt}).fetchall()
    expected = _expected_champions(events, before=dt).get(segmentation)
    assert found == ([] if expected is None else [(expected,)])
