"""What a night has to do, found out by looking at file names and publications, before any row is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from typing import Literal

from gmmdask.errors import InvalidInputError, WarehouseBusyError, WarehouseError
from gmmdask.lake import Lake, open_lake
from gmmdask.settings import Settings
from gmmdask.warehouse import Limits, Staging, Warehouse, open_staging, open_warehouse

RUN_ID_DIGITS = 16

State = Literal["due", "staged", "published", "nothing new"]
Action = Literal["first", "keep"]

FIRST_NIGHT = """SELECT min(dt) AS first_night, max(dt) AS last_night FROM publications
    WHERE segmentation = $segmentation AND kind = 'night'"""


def utc_now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class NightPlan:
    """What a night has to do.

    Parameters
    ----------
    run_key : str
        Hash of everything that determines the night's result.
    dt : datetime.date
        The night's date t.
    state : {"due", "staged", "published", "nothing new"}
        Staged: computed before, and waiting to be published.
    action : {"first", "keep"}
        Train the first model on all dates up to t and publish them, or label t by the champion in force before it.
    kind : {"night", "repeat"}
        Of the publication of t: a repeat of an earlier night changes no champion.
    champion_id : str, optional
        The model in force before t.
    lake : Lake
        All dates up to t, with the features alone.
    started_at : datetime.datetime
        When the night began.
    """

    run_key: str
    dt: date
    state: State
    action: Action
    kind: Literal["night", "repeat"]
    champion_id: str | None
    lake: Lake
    started_at: datetime

    @property
    def run_id(self) -> str:
        """Name of the run: the beginning of its key."""
        return self.run_key[:RUN_ID_DIGITS]

    @property
    def published_lake(self) -> Lake:
        """The dates that this night publishes."""
        return self.lake if self.action == "first" else between(self.lake, self.dt, self.dt)


def plan_night(settings: Settings, dt: date | None = None, *, now: Callable[[], datetime] = utc_now) -> NightPlan:
    """Find out what a night has to do. Reads no row and writes nothing.

    Parameters
    ----------
    settings : Settings
    dt : datetime.date, optional
        The night's date t; by default the last date of the lake.
    now : callable
        Where the time comes from.

    Raises
    ------
    InvalidInputError
        A column does not exist, or the lake is not partitioned by date.
    EmptyDataError
        The lake holds no file, or none of a date up to t.
    StorageError, WarehouseError
        Lake or warehouse cannot be reached.
    """
    started_at = now()
    lake = open_night_lake(settings)
    night = date.fromisoformat(lake.dates[-1]) if dt is None else dt
    is_new = night.isoformat() in lake.dates
    known = between(lake, date.min, night) if is_new else lake
    warehouse = warehouse_of(settings)
    with _readable():
        champion, kind = _champion(warehouse, settings.segmentation.name, night)
        key = run_key(settings, known, night, champion)
        state = _state(settings, warehouse, key)
    return NightPlan(
        run_key=key,
        dt=night,
        state=state if is_new else "nothing new",
        action="keep" if champion else "first",
        kind=kind,
        champion_id=champion,
        lake=known,
        started_at=started_at,
    )


def run_key(settings: Settings, lake: Lake, dt: date, champion_id: str | None) -> str:
    """Return the hash of what determines a night's result: settings, date, that date's files, champion before."""
    files = [(file.path, file.fingerprint) for file in lake.files if file.date == dt.isoformat()]
    facts = [settings.decisive_hash, dt.isoformat(), files, champion_id]
    return blake2b(json.dumps(facts).encode(), digest_size=32).hexdigest()


def open_night_lake(settings: Settings) -> Lake:
    """Open the lake of the settings; its columns are looked for in the first file.

    Raises
    ------
    InvalidInputError
        A column does not exist, or the lake is not partitioned by date.
    EmptyDataError, StorageError
        There is nothing, or it cannot be reached.
    """
    source = settings.source
    lake = open_lake(
        source.uri,
        features=settings.features,
        id_column=source.id,
        weight_column=source.weight,
        date_key=source.date,
        storage_options=source.storage_options,
    )
    lake.carry(source.id, *settings.describe)  # refuses unknown names here, at the door
    undated = [file.path for file in lake.files if not file.date]
    if undated:
        raise InvalidInputError(
            f"a night needs a lake that is partitioned by date, such as dt=2013-01-31/part-0.parquet; "
            f"{len(undated)} files have none, the first is {undated[0]!r}"
        )
    return lake


def between(lake: Lake, first: date, last: date) -> Lake:
    """Return the partitions of the dates from first to last, both included."""
    kept = tuple(file for file in lake.files if first.isoformat() <= file.date <= last.isoformat())
    return lake if len(kept) == len(lake.files) else replace(lake, files=kept)


def warehouse_of(settings: Settings) -> Warehouse:
    """Return the warehouse of the settings; nothing is opened yet."""
    limits = Limits(memory_limit=settings.warehouse.memory)
    return open_warehouse(settings.warehouse.uri, limits=limits, publish_timeout=settings.warehouse.publish_timeout)


def staging_of(settings: Settings) -> Staging:
    """Return where runs of the settings wait to be published."""
    return open_staging(str(settings.warehouse.staging), settings.warehouse.storage_options)


@contextmanager
def _readable() -> Iterator[None]:
    """Tell a warehouse that cannot even be read from one that only waits for a staged run."""
    try:
        yield
    except WarehouseBusyError as error:
        raise WarehouseError(f"the night cannot be planned: {error}") from error


def _champion(warehouse: Warehouse, segmentation: str, dt: date) -> tuple[str | None, Literal["night", "repeat"]]:
    """Return the champion that night t starts from, and whether t is a new night or an earlier one repeated.

    Dates before the first night were labelled by its model, so that is the one they start from.
    """
    if warehouse.champion_before(segmentation, date.max) is None:
        return None, "night"
    nights = warehouse.query(FIRST_NIGHT, {"segmentation": segmentation}).to_pylist()[0]
    first, last = nights["first_night"], nights["last_night"]
    start = dt if dt >= first else first + timedelta(days=1)
    return warehouse.champion_before(segmentation, start), "night" if dt >= last else "repeat"


def _state(settings: Settings, warehouse: Warehouse, key: str) -> State:
    if warehouse.published_run(key) is not None:
        return "published"
    return "due" if staging_of(settings).complete(key[:RUN_ID_DIGITS]) is None else "staged"
