"""What a warehouse says of the nights before: whose labels each date has, from which files. Reads; decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from gmmdask.lake import Lake
from gmmdask.warehouse import Warehouse
from gmmdask.warehouse.views import LATEST_LABELS

Files = frozenset[tuple[str, str]]

NIGHTS = """SELECT p.dt, r.action, r.verdict, r.challenger_id, r.model_id FROM publications AS p JOIN runs AS r ON r.run_id = p.run_id
    WHERE p.segmentation = $segmentation AND p.kind = 'night' ORDER BY p.publication_id"""

CHAMPIONS = """SELECT dt, kind, champion_id, published_at FROM publications
    WHERE segmentation = $segmentation AND champion_id IS NOT NULL ORDER BY publication_id"""

LABELS = f"""SELECT p.dt, p.model_id, l.partition_name, l.fingerprint, r.run_key, r.settings_hash FROM publications AS p
    JOIN runs AS r ON r.run_id = p.run_id LEFT JOIN lineage AS l ON l.run_id = p.run_id AND l.dt = p.dt AND l.purpose = 'score'
    WHERE p.segmentation = $segmentation AND p.publication_id IN ({LATEST_LABELS})"""  # noqa: S608


@dataclass(frozen=True, kw_only=True, slots=True)
class Reign:
    """A publication that said which model is in force: from the night after `dt` on."""

    champion_id: str
    kind: str
    dt: date
    published_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class NightRun:
    """What a night did, as it was last published.

    Parameters
    ----------
    dt : datetime.date
    action : str
        first, keep, warm-start or refit.
    verdict : str, optional
        What drift called for; None where it was not judged.
    challenger_id : str, optional
        The model that it trained, if any.
    model_id : str
        The model that gave the labels.
    """

    dt: date
    action: str
    verdict: str | None
    challenger_id: str | None
    model_id: str

    @property
    def has_trained(self) -> bool:
        """Whether it trained a model, promoted or not."""
        return self.action != "keep" or self.challenger_id is not None

    @property
    def is_rejected_warm_start(self) -> bool:
        """Whether it trained a warm start that did not become champion."""
        return self.verdict == "warm-start" and self.challenger_id not in (None, self.model_id)

    @property
    def was_asked_to_train(self) -> bool:
        """Whether a person asked for its new champion."""
        return self.action == "refit" and self.verdict is None


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """The nights of a segmentation so far.

    Parameters
    ----------
    nights : mapping of datetime.date to NightRun
    models : mapping of datetime.date to str
        Whose labels a date has.
    files : mapping of datetime.date to frozenset of (str, str)
        Names and fingerprints of the partitions that they came from.
    sources : mapping of datetime.date to (str, str)
        Key of the run that gave a date its labels, and hash of that run's settings.
    reigns : tuple of Reign
        Every publication that named a champion, the latest last.
    """

    nights: Mapping[date, NightRun] = field(default_factory=dict)
    models: Mapping[date, str] = field(default_factory=dict)
    files: Mapping[date, Files] = field(default_factory=dict)
    sources: Mapping[date, tuple[str, str]] = field(default_factory=dict)
    reigns: tuple[Reign, ...] = ()

    @property
    def champion(self) -> str | None:
        """The model in force, or None where there is none yet."""
        return self.reigns[-1].champion_id if self.reigns else None

    @property
    def previous_champion(self) -> str | None:
        """The last model in force that was another one, or None where there was none."""
        others = [reign.champion_id for reign in self.reigns if reign.champion_id != self.champion]
        return others[-1] if others else None

    def is_overruled(self, night: date) -> bool:
        """Return whether later decisions stand, so that labelling this date again must not change the champion."""
        decided_since = bool(self.reigns) and self.reigns[-1].kind != "night" and self.reigns[-1].dt >= night
        return night < self.last_night or decided_since

    @property
    def first_night(self) -> date:
        """Date of the first night; `date.max` where there was none."""
        return min(self.nights, default=date.max)

    @property
    def last_night(self) -> date:
        """Date of the last night; `date.min` where there was none."""
        return max(self.nights, default=date.min)

    def is_outdated(self, lake: Lake, dt: date) -> bool:
        """Return whether a date's labels are missing, or come from other files than the lake has now."""
        present = frozenset((file.path, file.fingerprint) for file in lake.files if file.date == dt.isoformat())
        return self.files.get(dt) != present

    def is_in_force(self, lake: Lake, dates: Iterable[date], model_id: str | None, settings_hash: str) -> bool:
        """Return whether all dates have the labels of this model, of their present files and of these settings."""
        return all(
            self.models.get(dt) == model_id and self.sources[dt][1] == settings_hash and not self.is_outdated(lake, dt)
            for dt in dates
        )

    def last_attempt(self, before: date) -> NightRun | None:
        """Return the last night before a date that trained a model, promoted or not; None where none did."""
        trained = [dt for dt, night in self.nights.items() if dt < before and night.has_trained]
        return self.nights[max(trained)] if trained else None

    def start_of(self, dt: date) -> date:
        """Return the date before which the champion that labels dt must be in force.

        Dates up to the first night were labelled by its model, and are so again once later nights build on it.
        """
        after_first = self.first_night < self.last_night or dt < self.first_night
        if self.nights and dt <= self.first_night and after_first:
            return self.first_night + timedelta(days=1)
        return dt


def read_history(warehouse: Warehouse, segmentation: str) -> History:
    """Return the nights of a segmentation; none where nothing was published yet."""
    if warehouse.champion_before(segmentation, date.max) is None:
        return History()
    name = {"segmentation": segmentation}
    nights = warehouse.query(NIGHTS, name).to_pylist()
    labels = warehouse.query(LABELS, name).to_pylist()
    reigns = warehouse.query(CHAMPIONS, name).to_pylist()
    files: dict[date, set[tuple[str, str]]] = {}
    for row in labels:
        files.setdefault(row["dt"], set()).add((row["partition_name"], row["fingerprint"]))
    return History(
        nights={row["dt"]: NightRun(**row) for row in nights},
        models={row["dt"]: row["model_id"] for row in labels},
        files={dt: frozenset(found) for dt, found in files.items()},
        sources={row["dt"]: (row["run_key"], row["settings_hash"]) for row in labels},
        reigns=tuple(Reign(**row) for row in reigns),
    )
