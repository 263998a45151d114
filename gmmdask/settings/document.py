"""The whole file as one value, and what must hold between its tables. Reads the environment, and no file."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Annotated, Any, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gmmdask.settings.drift import Drift
from gmmdask.settings.keys import PREFIX
from gmmdask.settings.preparation import Preparation
from gmmdask.settings.sections import (
    Alerts,
    Anomalies,
    Cluster,
    Grid,
    Lake,
    Name,
    Registry,
    Report,
    Segmentation,
    Training,
    Warehouse,
)

DECISIVE = {"features", "describe", "segmentation", "preparation", "grid", "training", "anomalies", "drift"}


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
        if self.source.id in self.describe:
            raise ValueError(
                f"describe: {self.source.id!r} is also source.id, and counting ids tells of no segment; leave it out"
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


def _require_distinct(key: str, values: tuple[Any, ...]) -> None:
    repeated = [value for number, value in enumerate(values) if value in values[:number]]
    if repeated:
        raise ValueError(f"{key}: {repeated[0]!r} is given more than once")
