"""What a night has to do, found out by looking at file names and publications, before any row is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from typing import Literal

from gmmdask.errors import InvalidInputError, WarehouseBusyError, WarehouseError
from gmmdask.lake import Lake, open_lake
from gmmdask.lake.manifest import explain_undated
from gmmdask.nightly.history import History, read_history
from gmmdask.settings import Settings
from gmmdask.warehouse import Limits, Staging, Warehouse, open_staging, open_warehouse
from gmmdask.warehouse.tables import CHAMPION_CHANGES

RUN_ID_DIGITS = 16

State = Literal["due", "staged", "published", "nothing new"]
Action = Literal["first", "keep", "refit"]
Kind = Literal["night", "repeat", "rescore", "promote", "rollback"]


def utc_now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class NightPlan:
    """What a run has to do.

    Parameters
    ----------
    run_key : str
        Hash of everything that determines the run's result.
    dt : datetime.date
        The night's date t; of a repeat or rescore of several dates, the last of them.
    state : {"due", "staged", "published", "nothing new"}
        Staged: computed before, and waiting to be published.
    action : {"first", "keep", "refit"}
        Train the first model on all dates up to t and publish them, label by a model that is there, or train a new
        champion that labels t.
    kind : {"night", "repeat", "rescore", "promote", "rollback"}
        Of the publication: a repeat labels earlier dates by the champion in force before them, a rescore by the present
        one; neither changes a champion. Promote and rollback change it and no label: they describe its segments on t.
    champion_id : str, optional
        The model in force before t; of a rescore, the present one; of promote and rollback, the new one.
    lake : Lake
        All dates up to t, with the features alone.
    dates : tuple of datetime.date
        What is published.
    train_since : datetime.date
        Where the training window begins.
    unfit : tuple of datetime.date
        Dates that no model may be trained on, because a feature came in another unit.
    overdue : tuple of datetime.date
        Earlier dates that came late or were rewritten since they were published, and that this run leaves to others.
    started_at : datetime.datetime
        When the run began.
    """

    run_key: str
    dt: date
    state: State
    action: Action
    kind: Kind
    champion_id: str | None
    lake: Lake
    dates: tuple[date, ...]
    train_since: date = date.min
    unfit: tuple[date, ...] = ()
    overdue: tuple[date, ...] = ()
    started_at: datetime

    @property
    def run_id(self) -> str:
        """Name of the run: the beginning of its key."""
        return self.run_key[:RUN_ID_DIGITS]

    @property
    def published_lake(self) -> Lake:
        """The dates that this run publishes."""
        return only(self.lake, self.dates)

    @property
    def training_lake(self) -> Lake:
        """The dates that a model may be trained on: the window up to t, without those that are unfit."""
        return without(between(self.lake, self.train_since, self.dt), self.unfit)


def plan_night(
    settings: Settings, dt: date | None = None, *, refit: bool = False, now: Callable[[], datetime] = utc_now
) -> NightPlan:
    """Find out what a night has to do. Reads no row and writes nothing.

    Parameters
    ----------
    settings : Settings
    dt : datetime.date, optional
        The night's date t; by default the last date of the lake.
    refit : bool, default False
        Train a new champion. A night that did so does it again when its date is rewritten.
    now : callable
        Where the time comes from.

    Raises
    ------
    InvalidInputError
        A column does not exist, the lake is not partitioned by date, or a champion is asked for on an earlier date.
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
    with _readable(settings):
        history = read_history(warehouse_of(settings), settings.segmentation.name)
        if refit and night < history.last_night:
            raise InvalidInputError(
                f"a new champion is for nights to come, and {night} is before the last night, {history.last_night}; "
                f"refit on {history.last_night} or later"
            )
        plan = _planned(settings, known, night, history, refit)
        plan = replace(plan, started_at=started_at)
        if not is_new:
            return replace(plan, state="nothing new", dates=(), overdue=_overdue(lake, history, night, ()))
        plan = _identified(plan, settings, history)
    will_publish = (night,) if plan.state == "published" else plan.dates
    return replace(plan, overdue=_overdue(known, history, night, will_publish))


def next_night(settings: Settings, first: date | None = None) -> date:
    """Return the first date of the lake after the last night; after the last date, the last night itself.

    Parameters
    ----------
    settings : Settings
    first : datetime.date, optional
        The night to begin with where none was published; by default the last date of the lake.

    Raises
    ------
    InvalidInputError, EmptyDataError, StorageError, WarehouseError
        As `plan_night`.
    """
    lake = open_night_lake(settings)
    with _readable(settings):
        last = read_history(warehouse_of(settings), settings.segmentation.name).last_night
    dates = _dates(lake)
    if last == date.min:
        return first or dates[-1]
    return next((dt for dt in dates if dt > last), last)


def plan_overdue(settings: Settings, plan: NightPlan) -> list[NightPlan]:
    """Return the runs that label a night's overdue dates: one for each champion that was in force before them."""
    with _readable(settings):
        warehouse = warehouse_of(settings)
        history = read_history(warehouse, settings.segmentation.name)
        champions = {dt: _champion(warehouse, settings, history, dt) for dt in plan.overdue}
        groups = {
            champion: tuple(dt for dt in plan.overdue if champions[dt] == champion) for champion in champions.values()
        }
        repeats = [
            replace(plan, kind="repeat", action="keep", champion_id=champion, dates=dates, dt=dates[-1], overdue=())
            for champion, dates in groups.items()
        ]
        return [_identified(repeat, settings, history) for repeat in repeats]


def plan_rescore(settings: Settings, first: date, last: date, *, now: Callable[[], datetime] = utc_now) -> NightPlan:
    """Find out which published dates from first to last do not have the labels of the present champion.

    Raises
    ------
    InvalidInputError
        No date of the lake between them was published, or what `plan_night` refuses.
    StorageError, WarehouseError
        Lake or warehouse cannot be reached.
    """
    started_at = now()
    lake = open_night_lake(settings)
    with _readable(settings):
        warehouse = warehouse_of(settings)
        history = read_history(warehouse, settings.segmentation.name)
        champion = warehouse.champion_before(settings.segmentation.name, date.max)
        published = [dt for dt in _dates(between(lake, first, last)) if dt in history.models]
        if not published or champion is None:
            raise InvalidInputError(
                f"no date of {settings.segmentation.name!r} from {first} to {last} was published, so none can be rescored; "
                f"the lake has {lake.dates[0]} to {lake.dates[-1]}"
            )
        outdated = [dt for dt in published if history.models[dt] != champion or history.is_outdated(lake, dt)]
        plan = NightPlan(
            run_key="",
            dt=published[-1],
            state="due",
            action="keep",
            kind="rescore",
            champion_id=champion,
            lake=between(lake, date.min, last),
            dates=tuple(outdated or published),
            started_at=started_at,
        )
        if not outdated:
            return replace(plan, run_key=run_key(plan, settings), state="published")
        return _identified(plan, settings, history)


def plan_promotion(
    settings: Settings, model_id: str, kind: Literal["promote", "rollback"], *, now: Callable[[], datetime] = utc_now
) -> NightPlan:
    """Find out how to make a model the champion: describe its segments on the last night's date, and publish it.

    Raises
    ------
    InvalidInputError
        No night was published yet, or its date is no longer in the lake.
    StorageError, WarehouseError
        Lake or warehouse cannot be reached.
    """
    started_at = now()
    lake = open_night_lake(settings)
    with _readable(settings):
        history = read_history(warehouse_of(settings), settings.segmentation.name)
        night = history.last_night
        if night.isoformat() not in lake.dates:
            raise InvalidInputError(
                f"a champion is described by the last night's date, and {settings.segmentation.name!r} "
                + ("has no night yet" if night == date.min else f"has no partition of {night} any more")
            )
        plan = NightPlan(
            run_key="",
            dt=night,
            state="due",
            action="keep",
            kind=kind,
            champion_id=model_id,
            lake=between(lake, date.min, night),
            dates=(night,),
            started_at=started_at,
        )
        if history.champion == model_id:
            return replace(plan, run_key=run_key(plan, settings), state="published")
        return _identified(plan, settings, history)


def run_key(plan: NightPlan, settings: Settings) -> str:
    """Return the hash of what determines a run's result.

    That is: settings, kind and action, the night's date (or the dates that are repeated or rescored), the files of these
    dates, and the champion in force before them.
    """
    dates = (plan.dt,) if plan.kind == "night" else plan.dates
    texts = [dt.isoformat() for dt in dates]
    files = [(file.path, file.fingerprint) for file in plan.lake.files if file.date in set(texts)]
    told = {"rescore": "rescored", "promote": "promoted", "rollback": "rolled back"}
    how = "retrained" if plan.action == "refit" else told.get(plan.kind, "labelled")
    facts = [settings.decisive_hash, how, texts, files, plan.champion_id]
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
        categories=settings.preparation.one_hot,
        storage_options=source.storage_options,
    )
    lake.carry(source.id, *settings.describe)  # refuses unknown names here, at the door
    if undated := explain_undated(lake.files):
        raise InvalidInputError(
            f"a night needs a lake that is partitioned by date, such as dt=2013-01-31/part-0.parquet: {undated}"
        )
    return lake


def between(lake: Lake, first: date, last: date) -> Lake:
    """Return the partitions of the dates from first to last, both included."""
    kept = tuple(file for file in lake.files if first.isoformat() <= file.date <= last.isoformat())
    return lake if len(kept) == len(lake.files) else replace(lake, files=kept)


def window_lake(plan: NightPlan, nights: int) -> Lake:
    """Return the partitions of the last dates that training may see, as many as a window has."""
    fit = plan.training_lake
    return only(fit, _dates(fit)[-nights:])


def warehouse_of(settings: Settings, patience: float | None = None) -> Warehouse:
    """Return the warehouse of the settings; nothing is opened yet. Patience, in seconds, replaces theirs."""
    limits = Limits(memory_limit=settings.warehouse.memory)
    timeout = settings.warehouse.publish_timeout if patience is None else patience
    return open_warehouse(settings.warehouse.uri, limits=limits, publish_timeout=timeout)


def staging_of(settings: Settings) -> Staging:
    """Return where runs of the settings wait to be published."""
    return open_staging(str(settings.warehouse.staging), settings.warehouse.storage_options)


@contextmanager
def _readable(settings: Settings) -> Iterator[None]:
    """Keep the warehouse open, and tell one that cannot even be read from one that only waits for a staged run."""
    try:
        with warehouse_of(settings).reading():
            yield
    except WarehouseBusyError as error:
        raise WarehouseError(f"the night cannot be planned: {error}") from error


def only(lake: Lake, dates: Iterable[date]) -> Lake:
    """Return the partitions of the given dates."""
    texts = {dt.isoformat() for dt in dates}
    kept = tuple(file for file in lake.files if file.date in texts)
    return lake if len(kept) == len(lake.files) else replace(lake, files=kept)


def without(lake: Lake, dates: Iterable[date]) -> Lake:
    """Return the partitions of all but the given dates."""
    return only(lake, set(_dates(lake)) - set(dates))


def _planned(settings: Settings, lake: Lake, night: date, history: History, refit: bool) -> NightPlan:
    """Return the plan of a night before it has a key."""
    champion = _champion(warehouse_of(settings), settings, history, night)
    is_overruled = history.is_overruled(night)
    trained_before = not is_overruled and history.last_night == night and history.nights[night].was_asked_to_train
    action: Action = "first" if champion is None else "refit" if refit or trained_before else "keep"
    return NightPlan(
        run_key="",
        dt=night,
        state="due",
        action=action,
        kind="repeat" if is_overruled and not refit else "night",
        champion_id=champion,
        lake=lake,
        dates=_dates(lake) if action == "first" else (night,),
        train_since=_train_since(settings, night, action),
        started_at=datetime.min,
    )


def _train_since(settings: Settings, night: date, action: Action) -> date:
    """Return the first date that training may see."""
    window, since = settings.training.train_window, settings.training.train_since or date.min
    if since > night and action != "keep":
        raise InvalidInputError(
            f"training.train_since is {since}, and the night of {night} is earlier, so it has nothing to train on; "
            "set an earlier date, or none"
        )
    return max(min(since, night), date.min if window is None else night - timedelta(days=window - 1))


def _champion(warehouse: Warehouse, settings: Settings, history: History, dt: date) -> str | None:
    return warehouse.champion_before(settings.segmentation.name, history.start_of(dt))


def _identified(plan: NightPlan, settings: Settings, history: History) -> NightPlan:
    """Return the plan with its key and state.

    Files can come back as they were before they were rewritten. Their run was published then, but its labels are no
    longer those in force: it runs again, under the key that follows from the old one. A date that another run, such as
    the first of all, gave the very labels that it would get is published already, by that run.
    """
    if plan.kind == "repeat" and history.is_in_force(plan.lake, plan.dates, plan.champion_id, settings.decisive_hash):
        return replace(plan, run_key=history.sources[plan.dt][0], state="published")
    warehouse = warehouse_of(settings)
    key = run_key(plan, settings)
    while warehouse.published_run(key) is not None:
        if not _is_superseded(plan, history):
            return replace(plan, run_key=key, state="published")
        key = blake2b(key.encode(), digest_size=32).hexdigest()
    staged = staging_of(settings).complete(key[:RUN_ID_DIGITS]) is not None
    return replace(plan, run_key=key, state="staged" if staged else "due")


def _is_superseded(plan: NightPlan, history: History) -> bool:
    if plan.kind in CHAMPION_CHANGES and history.champion != plan.champion_id:
        return True
    if plan.kind == "rescore" and any(history.models.get(dt) != plan.champion_id for dt in plan.dates):
        return True
    dates = (plan.dt,) if plan.kind == "night" else plan.dates
    return any(history.is_outdated(plan.lake, dt) for dt in dates)


def _overdue(lake: Lake, history: History, night: date, published: Collection[date]) -> tuple[date, ...]:
    """Return the dates before a night whose labels are missing or come from other files; none before the first night."""
    if not history.nights:
        return ()
    earlier = (dt for dt in _dates(lake) if dt < night and dt not in published)
    return tuple(dt for dt in earlier if history.is_outdated(lake, dt))


def _dates(lake: Lake) -> tuple[date, ...]:
    return tuple(date.fromisoformat(text) for text in lake.dates)
