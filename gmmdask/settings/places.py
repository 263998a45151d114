"""Where the places of the settings are: relative to the file, beside each other, and never within the lake."""

from __future__ import annotations

from pathlib import Path

from gmmdask.errors import SettingsError
from gmmdask.settings.document import Settings


def located(settings: Settings, folder: Path) -> Settings:
    """Return settings whose every place is absolute, those that are given relative to a folder; fills in the defaults."""
    warehouse = settings.warehouse
    uri = absolute(warehouse.uri, folder)
    staging = absolute(warehouse.staging, folder) if warehouse.staging else _beside(uri)
    report = absolute(settings.report.uri, folder) if settings.report.uri else _reports_beside(uri)
    return settings.model_copy(
        update={
            "source": settings.source.model_copy(update={"uri": absolute(settings.source.uri, folder)}),
            "warehouse": warehouse.model_copy(update={"uri": uri, "staging": staging}),
            "registry": settings.registry.model_copy(update={"uri": absolute(settings.registry.uri, folder)}),
            "alerts": settings.alerts.model_copy(update={"command": _program(settings.alerts.command, folder)}),
            "report": settings.report.model_copy(update={"uri": report}),
        }
    )


def _program(command: tuple[str, ...] | None, folder: Path) -> tuple[str, ...] | None:
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


def require_apart(settings: Settings, file: Path) -> None:
    """Refuse places within the lake, whose files would be taken for rows.

    Raises
    ------
    SettingsError
        Names the file, the key and the place.
    """
    lake = settings.source.uri.rstrip("/")
    written = {"warehouse.staging": str(settings.warehouse.staging), "registry.uri": settings.registry.uri}
    for key, place in written.items():
        if f"{place}/".startswith(f"{lake}/"):
            raise SettingsError(
                f"{file}: {key} is {place}, which lies within the lake ({lake}), where its files would be taken for rows; "
                "name a place beside it" + ("" if key == "registry.uri" else " (by default it is beside warehouse.uri)")
            )
