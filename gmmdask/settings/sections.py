"""The tables of the file that are a few keys each. What a table alone can contradict is refused here; what two can, is not."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gmmdask.settings.addresses import Address, StorageOptions, Webhook
from gmmdask.settings.keys import Section

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
    """`[training]`: how many days up to a night its training sees, and from which date on; by default all of them."""

    train_window: Positive | None = None
    train_since: date | None = None


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
    """`[report]`: which runs write a page, whether nights renew the trend, and where: by default in `reports`, beside the warehouse."""

    reports: Literal["all", "retrainings", "none"] = "all"
    trend: bool = True
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
