"""Every error that gmmdask raises on purpose.

One base class; each error is also the natural built-in, so that code which knows nothing of gmmdask still catches it.
A message says what happened, where (partition, column, iteration, component), the values, and what to do.
"""

from __future__ import annotations

from typing import Any


class GmmdaskError(Exception):
    """Base of all errors raised by gmmdask."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by class and arguments, so that an error keeps its class on the way back from a worker."""
        return type(self), self.args, self.__dict__ or None


class InvalidInputError(GmmdaskError, ValueError):
    """The data or an argument cannot be used as given."""


class UnknownNameError(InvalidInputError, KeyError):
    """A column, segmentation or model of this name does not exist."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class SchemaError(InvalidInputError, TypeError):
    """A column is missing, was renamed, or changed its type between partitions."""


class EmptyDataError(InvalidInputError):
    """There are no rows to work on."""


class UnreadablePartitionError(GmmdaskError, OSError):
    """A partition exists but cannot be read."""


class StorageError(GmmdaskError, OSError):
    """A bucket, folder or endpoint cannot be reached or refused the credentials."""


class InconsistentStatisticsError(GmmdaskError, ArithmeticError):
    """Partial statistics do not belong together, or a pass lost or counted rows twice."""


class DegenerateMixtureError(GmmdaskError, ValueError):
    """A component's covariance is not positive definite."""


class NoSoundCandidateError(GmmdaskError, ValueError):
    """Every candidate of the grid was disqualified."""


class MemoryLimitError(GmmdaskError, MemoryError):
    """The work would not fit in the memory that was allowed."""


class ClusterError(GmmdaskError, ConnectionError):
    """The Dask cluster cannot be reached, lost its workers, or mixes kinds of machines."""


class WarehouseError(GmmdaskError, RuntimeError):
    """The warehouse refused or does not hold what was asked of it."""


class WarehouseBusyError(WarehouseError, TimeoutError):
    """Another process holds the warehouse open; the run stays staged."""


class SettingsError(GmmdaskError, ValueError):
    """The settings file is wrong or contradicts itself."""
