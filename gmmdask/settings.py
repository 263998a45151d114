"""The TOML file that describes a segmentation, read and checked as a whole.

Every key can be overridden by an environment variable: `GMMDASK_WAREHOUSE__URI` is `[warehouse] uri`. Secrets are not
settings: storage reads them from the environment or its usual files. Nothing here opens what it names.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from gmmdask.errors import SettingsError
from gmmdask.settings_addresses import Address, StorageOptions, Webhook
from gmmdask.settings_drift import Drift
from gmmdask.settings_keys import PREFIX, Section, nearest, unknown_variable
from gmmdask.settings_preparation import Preparation

DECISIVE = {"features", "describe", "segmentation", "preparation", "grid", "training", "anomalies", "drift"}

Positive = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(min_length=1)]
Structures = Literal["spherical", "diag", "tied", "full"]


class Segmentation(Section):
    """`[segmentation]`: its name in the warehouse, and whether ids are unique in the lake or per date."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    entity: Literal["event", "snapshot"] = "event"


class Lake(Section):
    """`[source]`: where the rows are, and which columns identify and weigh them."""

    uri: Address
    id: Name
    weight: Name | None = None
    date: Name | None = None
    storage_options: StorageOptions = Field(default_factory=dict)


class Grid(Section):
    """`[grid]`: the candidates, and what chooses among them."""

    n_components: Annotated[tuple[Positive, ...], Field(min_length=1)] = tuple(range(1, 11))
    covariance_types: Annotated[tuple[Structures, ...], Field(min_length=1)] = ("spherical", "diag", "tied", "full")
    criterion: Literal["bic", "aic", "icl", "holdout"] = "bic"
    reg_covar: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1e-6
    weight_type: Literal["frequency", "importance"] = "frequency"
    seed: Annotated[int, Field(ge=0)] = 0
    max_passes: Annotated[int, Field(ge=2)] = 6


class Training(Section):
    """`[training]`: how many days up to a night its training sees; by default all of them."""

    train_window: Positive | None = None


class Anomalies(Section):
    """`[anomalies]`: the share of training rows below whose log density a row is flagged; 0 flags none."""

    quantile: Annotated[float, Field(ge=0, lt=1)] = 0.001


class Alerts(Section):
    """`[alerts]`: where alerts go beside the log: a command that reads JSON, a webhook that takes it.

    The address of a webhook is a secret as a rule: give it as GMMDASK_ALERTS__WEBHOOK in the environment.
    """

    command: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    webhook: Webhook | None = None
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 10.0

    @model_validator(mode="after")
    def _needed(self) -> Self:
        if "timeout" in self.model_fields_set and self.command is None and self.webhook is None:
            raise ValueError("timeout is for a command or a webhook, and neither is named; leave it out or name one")
        return self


class Warehouse(Section):
    """`[warehouse]`: the database, where runs wait for it, and what it may use."""

    uri: Address
    staging: Address | None = None
    publish_timeout: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 600.0
    memory: Annotated[str, Field(pattern=r"(?i)^\d+(\.\d+)? ?[kmgt]i?b$")] | None = None
    storage_options: StorageOptions = Field(default_factory=dict)


class Report(Section):
    """`[report]`: whether every run writes its page, and where: by default in `reports`, beside the warehouse."""

    enabled: bool = True
    uri: Address | None = None
    storage_options: StorageOptions = Field(default_factory=dict)


class Registry(Section):
    """`[registry]`: where model bundles are kept."""

    uri: Address
    storage_options: StorageOptions = Field(default_factory=dict)


class Cluster(Section):
    """`[cluster]`: an address, or a local cluster of workers, or threads in this process (the default: one)."""

    address: Name | None = None
    workers: Positive | None = None
    threads: Positive = 1
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 30.0

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.address is not None and (self.workers is not None or "threads" in self.model_fields_set):
            raise ValueError("address names a cluster that has its own workers; leave out workers and threads")
        return self


class Settings(BaseSettings):
    """Everything about a segmentation; see `load_settings`."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        hide_input_in_errors=True,  # a traceback repeats the error as it was raised, and what was given may be a secret
    )

    features: Annotated[tuple[Name, ...], Field(min_length=1)]
    describe: tuple[Name, ...] = ()
    segmentation: Segmentation
    source: Lake
    preparation: Preparation = Preparation()
    grid: Grid = Grid()
    training: Training = Training()
    anomalies: Anomalies = Anomalies()
    alerts: Alerts = Alerts()
    drift: Drift = Drift()
    warehouse: Warehouse
    registry: Registry
    report: Report = Report()
    cluster: Cluster = Cluster()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment override the file, and read nothing else."""
        return env_settings, init_settings

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _require_distinct("features", self.features)
        _require_distinct("describe", self.describe)
        _require_distinct("preparation.one_hot", self.preparation.one_hot)
        self.preparation.require_features(self.features)
        _require_distinct("grid.n_components", self.grid.n_components)
        _require_distinct("grid.covariance_types", self.grid.covariance_types)
        for name in self.features:
            for role, columns in self._other_roles().items():
                if name in columns:
                    raise ValueError(
                        f"features: {name!r} is also {role}; a column has one role, so leave it out of one"
                    )
        return self

    def _other_roles(self) -> dict[str, tuple[str | None, ...]]:
        return {
            "in describe": self.describe,
            "source.id": (self.source.id,),
            "source.weight": (self.source.weight,),
            "source.date": (self.source.date,),
        }

    @property
    def decisive(self) -> dict[str, Any]:
        """The settings that can change a result, as JSON holds them."""
        return {
            **self.model_dump(mode="json", include=DECISIVE),
            "source": self.source.model_dump(mode="json", include={"id", "weight", "date"}),
        }

    @property
    def decisive_hash(self) -> str:
        """Hash of the settings that can change a result, 32 hexadecimal digits."""
        return blake2b(json.dumps(self.decisive, sort_keys=True).encode(), digest_size=16).hexdigest()


def load_settings(path: str | Path) -> Settings:
    """Read the settings of a segmentation.

    Relative paths in the file are relative to the file.

    Parameters
    ----------
    path : str or Path
        A TOML file.

    Raises
    ------
    SettingsError
        The file is not there or not TOML, a key or variable is unknown, missing or wrong, or settings contradict each
        other; names file and key.
    """
    file = Path(path)
    if wrong := unknown_variable(Settings, os.environ):
        raise SettingsError(f"{file}: {wrong}")
    try:
        settings = Settings(**_read(file))
    except ValidationError as error:
        raise SettingsError(f"{file}: {_explain(error)}") from error
    except SourceError as error:
        raise SettingsError(f"{file}: an environment variable cannot be read: {error}") from error
    found = _absolute(settings, file.resolve().parent)
    _require_apart(found, file)
    return found


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(f"{file}: there is no such settings file") from error
    except OSError as error:
        raise SettingsError(f"{file}: the settings cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: this is not valid TOML: {error}") from error


def _require_apart(settings: Settings, file: Path) -> None:
    """Refuse places within the lake, whose files would be taken for rows."""
    lake = settings.source.uri.rstrip("/")
    written = {"warehouse.staging": str(settings.warehouse.staging), "registry.uri": settings.registry.uri}
    for key, place in written.items():
        if f"{place}/".startswith(f"{lake}/"):
            raise SettingsError(
                f"{file}: {key} is {place}, which lies within the lake ({lake}), where its files would be taken for rows; "
                "name a place beside it" + ("" if key == "registry.uri" else " (by default it is beside warehouse.uri)")
            )


def _require_distinct(key: str, values: tuple[Any, ...]) -> None:
    repeated = [value for number, value in enumerate(values) if value in values[:number]]
    if repeated:
        raise ValueError(f"{key}: {repeated[0]!r} is given more than once")


def _explain(error: ValidationError) -> str:
    """Say what is wrong with the first key, and how many others are."""
    found = sorted(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")
    first, *others = found
    key = ".".join(map(str, first["loc"]))
    told = f"{_reason(key, first)}"
    return told + (f" (and {len(others)} more to mend)" if others else "")


def _reason(key: str, error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return f"unknown key {key}{nearest(Settings, key)}"
    if error["type"] == "missing":
        return f"key {key} is missing"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return f"{key}: {message}" if key else message
    return f"{key} = {error['input']!r}: {message[0].lower()}{message[1:]}"


def _absolute(settings: Settings, folder: Path) -> Settings:
    warehouse = settings.warehouse
    uri = absolute(warehouse.uri, folder)
    staging = absolute(warehouse.staging, folder) if warehouse.staging else _beside(uri)
    report = absolute(settings.report.uri, folder) if settings.report.uri else _reports_beside(uri)
    return settings.model_copy(
        update={
            "source": settings.source.model_copy(update={"uri": absolute(settings.source.uri, folder)}),
            "warehouse": warehouse.model_copy(update={"uri": uri, "staging": staging}),
            "registry": settings.registry.model_copy(update={"uri": absolute(settings.registry.uri, folder)}),
            "alerts": settings.alerts.model_copy(update={"command": _located(settings.alerts.command, folder)}),
            "report": settings.report.model_copy(update={"uri": report}),
        }
    )


def _located(command: tuple[str, ...] | None, folder: Path) -> tuple[str, ...] | None:
    """Return a command whose program is found by its path, if it is given as one, else by its name."""
    if command is None or "/" not in command[0]:
        return command
    return (absolute(command[0], folder), *command[1:])


def absolute(uri: str, folder: Path) -> str:
    """Return an address with a relative path made absolute; `duckdb://` is dropped where a plain path says the same.

    Examples
    --------
    >>> absolute("../demo/lake", Path("/srv/infra")), absolute("s3://bucket/lake", Path("/srv"))
    ('/srv/demo/lake', 's3://bucket/lake')
    """
    scheme, separator, rest = uri.partition("://")
    if separator and (scheme not in ("duckdb", "file") or rest.startswith("/")):
        return uri
    path = str((folder / (rest if separator else uri)).resolve())
    return f"{scheme}://{path}" if separator else path


def _beside(warehouse: str) -> str:
    """Return the folder in which runs wait for a warehouse in a file: its name, ending in `.work`."""
    path = warehouse.removeprefix("duckdb://")
    return f"{path.removesuffix('.duckdb')}.work"


def _reports_beside(warehouse: str) -> str:
    """Return the folder of the reports of a warehouse in a file: `reports`, beside it."""
    return str(Path(warehouse.removeprefix("duckdb://")).parent / "reports")
