"""The settings file that a first look leads to: every column with what was found, ready to run and to be edited."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from gmmdask.errors import SettingsError
from gmmdask.inspection.roles import Choice, Inspection, choose_roles
from gmmdask.inspection.sample import read_sample

ROWS_PER_COMPONENT = 100
"""A grid goes no further than this many of the rows looked at allow."""
MOST_COMPONENTS = 10
USUAL_FILE = "settings.toml"

TEMPLATE = """\
# {looked}
# It runs as it is:  gmmdask nightly {file}
# Beside each column stands what was found in it. A column after a # is not used; remove the # to use it.

# Clustered. {complete}
features = [
{features}
]

# Counted per segment, not clustered: values that name something, or numbers of a few values.
describe = [
{describe}
]

[segmentation]
name = {name}
entity = {entity}

[source]
uri = {uri}
id = {id}

[preparation]
scale = "standard"  # mean 0 and variance 1, so that units do not decide; "minmax": from 0 to 1; or "none"
missing = "drop"  # a row that lacks a value gets no segment; "mean", "median", "mode" or a number is filled in instead
{one_hot}{columns}
[grid]
n_components = {components}
covariance_types = ["spherical", "diag", "tied", "full"]
criterion = "bic"  # or "aic", "icl", "holdout"
seed = 0

[anomalies]
quantile = 0.001  # flag what is less likely than all but one in a thousand training rows; 0 flags none

[warehouse]  # paths are relative to this file
uri = "warehouse.duckdb"

[registry]
uri = "models"

[cluster]
threads = {threads}  # {machine}; or workers = 4 for a local Dask cluster, or address = "tcp://scheduler:8786" for any other
"""


def inspect_lake(uri: str, *, id_column: str | None = None) -> Inspection:
    """Look at some rows of a lake and give every column a role. Writes nothing.

    Parameters
    ----------
    uri : str
        A folder or bucket of Parquet, partitioned by date.
    id_column : str, optional
        The column that identifies a row; found by looking where it is not given.

    Raises
    ------
    InvalidInputError
        No column identifies a row or can be clustered, a file has no date in its path, or the address holds
        credentials.
    StorageError, EmptyDataError
        There is nothing, or it cannot be reached.
    UnreadablePartitionError
        A file is damaged; names it.
    """
    return choose_roles(uri, read_sample(uri), id_column)


def write_settings(inspection: Inspection, path: Path, *, force: bool = False) -> None:
    """Write the settings that an inspection leads to.

    Raises
    ------
    SettingsError
        The file exists and `force` is not given, or it cannot be written.
    """
    text = settings_text(inspection, path)
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise SettingsError(f"{path} exists; name another file, or replace it with --force") from error
    except OSError as error:
        raise SettingsError(f"{path} cannot be written ({error.strerror})") from error


def settings_text(inspection: Inspection, path: Path) -> str:
    """Return the settings as TOML, with addresses relative to the file that will hold them.

    Parameters
    ----------
    inspection : Inspection
    path : Path
        Where the text will stand.
    """
    numbers = [choice for choice in inspection.choices if _is_for_features(choice)]
    others = [choice for choice in inspection.choices if choice.role != "id" and choice not in numbers]
    components = min(MOST_COMPONENTS, max(1, inspection.sample.n_rows // ROWS_PER_COMPONENT))
    return TEMPLATE.format(
        looked=_looked(inspection),
        file=path.name,
        complete=_complete(inspection),
        features=_listed(numbers, "feature"),
        describe=_listed(others, "describe"),
        name=_quoted(_name(inspection.uri, path)),
        entity=_entity(inspection),
        uri=_quoted(_address(inspection.uri, path)),
        id=_quoted(inspection.id.name),
        components=list(range(1, components + 1)),
        one_hot=_one_hot(inspection),
        columns=_columns(inspection),
        threads=cores(),
        machine="the core of this machine" if cores() == 1 else "the cores of this machine",
    )


def cores() -> int:
    """Return how many cores this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)  # Linux alone has it; a container may have fewer than its machine
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1


def _name(uri: str, path: Path) -> str:
    """Return the name of a segmentation: that of its file, or of the lake where the file has the usual one."""
    return segmentation_name(uri if path.name == USUAL_FILE else path.stem)


def segmentation_name(uri: str) -> str:
    """Return a name for the segmentation of a lake: that of a folder or file, as far as a name may have its letters.

    Examples
    --------
    >>> segmentation_name("s3://bucket/Web events/"), segmentation_name("s3://bucket"), segmentation_name("/")
    ('Web-events', 'bucket', 'segments')
    """
    last = next((part for part in reversed(uri.split("://")[-1].split("/")) if part.strip(".")), "")
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", last).strip("-_.")
    return name or "segments"


def _is_for_features(choice: Choice) -> bool:
    return choice.role == "feature" or (choice.role == "left out" and choice.facts.kind == "number")


def _looked(inspection: Inspection) -> str:
    sample = inspection.sample
    dates = sample.lake.dates
    span = f"{dates[0]} to {dates[-1]}" if len(dates) > 1 else dates[0]
    return (
        f"Written by `gmmdask init` after a look at {sample.n_rows:,} rows in {len(sample.files):,} of "
        f"{len(sample.lake.files):,} files, {span}."
    )


def _complete(inspection: Inspection) -> str:
    if inspection.complete == 1:
        return "All of these rows get a segment."
    return f"{inspection.complete:.1%} of these rows get a segment; the others lack a value, and are published without one."


def _listed(choices: Iterable[Choice], role: str) -> str:
    return "\n".join(_line(choice, choice.role == role) for choice in choices)


def _line(choice: Choice, used: bool) -> str:
    return f"  {'' if used else '# '}{_quoted(choice.name)},  # {_on_one_line(choice.note)}"


def _entity(inspection: Inspection) -> str:
    facts = inspection.id.facts
    if facts.identifies == "snapshot":
        return '"snapshot"  # an id comes back on other dates; "event": ids are unique in the lake'
    return '"event"  # no id was found twice; "snapshot": ids are unique per date'


def _one_hot(inspection: Inspection) -> str:
    """Return how categories would be clustered, as a comment, where there are any."""
    texts = [choice.facts for choice in inspection.choices if choice.role == "describe" and choice.facts.kind == "text"]
    if not texts:
        return ""
    name = _quoted(min(texts, key=lambda facts: facts.distinct).name)
    return (
        f"# To cluster categories too, move {_on_one_line(name)} from describe to features, and list it here. Its indicators add\n"
        "# up to one, so that full and tied covariances are always disqualified, and diag ones nearly always; ask for\n"
        '# covariance_types = ["spherical"] then. Segments tend to become the categories: describing them tells more.\n'
        f"# one_hot = [{_on_one_line(name)}]\n"
    )


def _columns(inspection: Inspection) -> str:
    """Return what is different for single features, one a line."""
    lines = [
        _different(choice) for choice in inspection.choices if choice.role == "feature" and (choice.fill or choice.bend)
    ]
    if not lines:
        return ""
    return "\n".join(["", "[preparation.columns]", *lines, ""])


def _different(choice: Choice) -> str:
    wishes, reasons = [], []
    if choice.bend:
        wishes.append('transform = "arcsinh"')
        reasons.append(f"tail, {choice.bend}: drawn in, or a few far rows claim segments of their own")
    if choice.fill:
        wishes.append('missing = "median"')
        reasons.append(f"{choice.fill}: so few that a filled cell does no harm, and its row gets a segment")
    return f"{_quoted(choice.name)} = {{ {', '.join(wishes)} }}  # {'; '.join(reasons)}"


def _address(uri: str, path: Path) -> str:
    """Return an address that means the same in a file elsewhere."""
    if "://" in uri:
        return uri
    lake, folder = Path(uri).resolve(), path.resolve().parent
    return os.path.relpath(lake, folder) if lake.is_relative_to(folder) else str(lake)


def _quoted(text: str) -> str:
    """Return a TOML string; JSON's are such, but for one character that JSON leaves as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _on_one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def summary(inspection: Inspection) -> Sequence[str]:
    """Return what to say about an inspection, line by line."""
    sample = inspection.sample
    lines = [f"Looked at {sample.n_rows:,} rows in {len(sample.files):,} of {len(sample.lake.files):,} files."]
    told = {"id": "Identified by", "feature": "Clustered", "describe": "Described", "left out": "Left out"}
    for role, title in told.items():
        names = [choice.name for choice in inspection.choices if choice.role == role]
        if names:
            lines.append(f"{title:<13} {', '.join(map(_on_one_line, names))}")
    return lines
