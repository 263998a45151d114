"""Everything that can be wrong with a lake is refused by name, at the door where it can be."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pytest

from gmmdask.errors import (
    EmptyDataError,
    InvalidInputError,
    SchemaError,
    StorageError,
    UnknownNameError,
    UnreadablePartitionError,
)
from gmmdask.lake import Lake, open_lake, require_finite
from gmmdask.lake.location import Location
from gmmdask.storage import reaching
from tests.lake.conftest import WriteLake

FLIGHTS = pa.table({"id": ["a", "b"], "dep_delay": [1.0, 2.0], "arr_delay": [3, 4]})
DAYS = [f"dt=2013-01-0{day}/p.parquet" for day in (1, 2, 3)]


def read_all(lake: Lake) -> list[Any]:
    return [leaf for position in range(len(lake.files)) for leaf in lake.read(position)]


def both_ways(lake: Lake, error: type[Exception], message: str) -> None:
    """At the door, from the footers, and on a worker that reads the file without them."""
    with pytest.raises(error, match=message):
        _ = lake.partitions
    with pytest.raises(error, match=message):
        read_all(lake)


def test_a_folder_without_parquet_files_is_an_empty_lake(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(EmptyDataError, match="holds no Parquet file"):
        open_lake(str(tmp_path))


@pytest.mark.parametrize("uri", ["{folder}/absent", "file://{folder}/absent", "memory://absent-lake"])
def test_a_path_that_does_not_exist_is_named(tmp_path: Path, uri: str) -> None:
    with pytest.raises(StorageError, match=r"there is no folder or bucket '.*absent"):
        open_lake(uri.format(folder=tmp_path))


def test_an_unknown_protocol_is_named() -> None:
    with pytest.raises(StorageError, match="warp"):
        open_lake("warp://somewhere")


def test_a_missing_column_names_the_file_its_columns_and_the_nearest(write_lake: WriteLake) -> None:
    renamed = FLIGHTS.rename_columns(["id", "departure_delay", "arr_delay"])
    lake = open_lake(write_lake({DAYS[0]: FLIGHTS, DAYS[1]: renamed}), id_column="id")
    pattern = (
        f"partition '{DAYS[1]}' has no column 'dep_delay' "
        r"\(it has id, departure_delay, arr_delay\); did you mean 'departure_delay'"
    )
    both_ways(lake, SchemaError, pattern)


def test_a_column_that_turns_from_number_to_text_is_refused(write_lake: WriteLake) -> None:
    text = FLIGHTS.set_column(2, "arr_delay", pa.array(["3", "4"]))
    lake = open_lake(write_lake({DAYS[0]: FLIGHTS, DAYS[1]: text}), features=["arr_delay"])
    both_ways(lake, SchemaError, f"'arr_delay' is string in partition '{DAYS[1]}' and int64 elsewhere.*only numbers")


def test_a_carried_column_that_changes_its_type_is_refused_and_otherwise_not_looked_at(write_lake: WriteLake) -> None:
    numbered = FLIGHTS.set_column(0, "id", pa.array([1, 2]))
    lake = open_lake(write_lake({DAYS[0]: FLIGHTS, DAYS[1]: numbered}), id_column="id")
    assert len(lake.partitions) == 2
    with pytest.raises(SchemaError, match="'id' is int64 in partition"):
        _ = lake.carry("id").partitions


def test_a_column_that_is_there_twice_is_refused(write_lake: WriteLake) -> None:
    twice = pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], names=["dep_delay", "dep_delay"])
    lake = open_lake(write_lake({DAYS[0]: FLIGHTS, DAYS[1]: twice}), features=["dep_delay"])
    both_ways(lake, SchemaError, "has column 'dep_delay' 2 times")


@pytest.mark.parametrize(
    ("column", "advice"),
    [
        (pa.array(["x"]), "carry it beside the features"),
        (pa.array([0], pa.timestamp("s")), "minutes of the day"),
        (pa.array([0], pa.date32()), "write it as a number"),
        (pa.array([[1.0]]), "leave it out"),
    ],
)
def test_a_feature_that_is_no_number_is_refused_with_what_to_do(
    write_lake: WriteLake, column: Any, advice: str
) -> None:
    folder = write_lake({"p.parquet": pa.table({"a": column, "b": [1.0]})})
    with pytest.raises(SchemaError, match=f"column 'a' is .*{advice}"):
        open_lake(folder, features=["a"])
    assert open_lake(folder).features == ("b",)


def test_a_lake_without_any_number_lists_what_it_has(write_lake: WriteLake) -> None:
    with pytest.raises(SchemaError, match=r"no numeric column.*id \(string\)"):
        open_lake(write_lake({"p.parquet": FLIGHTS.select(["id"])}))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"features": ["dep_dely"]}, UnknownNameError, "did you mean 'dep_delay'"),
        ({"features": ["dep_delay", "dep_delay"]}, InvalidInputError, "named twice"),
        ({"features": ["arr_delay"], "weight_column": "arr_delay"}, InvalidInputError, "cannot be features"),
        ({"features": ["id"], "id_column": "id"}, InvalidInputError, "cannot be features"),
        ({"features": "dep_delay"}, InvalidInputError, "give a list"),
        ({"features": []}, InvalidInputError, "features is empty"),
        ({"id_column": "ident"}, UnknownNameError, "no column 'ident' for the id"),
        ({"weight_column": "weight"}, UnknownNameError, "no column 'weight' for the weight"),
        ({"weight_column": "id"}, SchemaError, "the weight"),
        ({"date_key": "day"}, UnknownNameError, "no partition key 'day'"),
    ],
)
def test_arguments_that_do_not_fit_the_lake_are_refused(
    write_lake: WriteLake, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        open_lake(write_lake({DAYS[0]: FLIGHTS}), **options)


def test_a_date_key_must_hold_dates(write_lake: WriteLake) -> None:
    with pytest.raises(InvalidInputError, match="has the value 'Monday'; write YYYY-MM-DD"):
        open_lake(write_lake({"dt=Monday/p.parquet": FLIGHTS}), date_key="dt")


def test_a_partition_key_that_is_also_a_column_is_no_feature(write_lake: WriteLake) -> None:
    table = pa.table({"hour": [1, 2], "a": [1.0, 2.0]})
    assert open_lake(write_lake({"hour=1/p.parquet": table})).features == ("a",)


def test_carrying_an_unknown_column_is_refused(write_lake: WriteLake) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'id'"):
        open_lake(write_lake({DAYS[0]: FLIGHTS}), features=["dep_delay"]).carry("idd")


def test_a_file_that_is_not_parquet_is_named(write_lake: WriteLake) -> None:
    folder = Path(write_lake({DAYS[0]: FLIGHTS, DAYS[1]: FLIGHTS}))
    (folder / DAYS[1]).write_bytes(b"not parquet at all, but long enough to have a footer")
    both_ways(open_lake(str(folder), features=["dep_delay"]), UnreadablePartitionError, DAYS[1])


@pytest.mark.parametrize("kept", [0, 3, 20, -1])
def test_a_truncated_file_is_named(write_lake: WriteLake, kept: int) -> None:
    folder = Path(write_lake({DAYS[0]: FLIGHTS, DAYS[1]: FLIGHTS}))
    content = (folder / DAYS[1]).read_bytes()
    (folder / DAYS[1]).write_bytes(content[:kept])
    both_ways(open_lake(str(folder), features=["dep_delay"]), UnreadablePartitionError, DAYS[1])


def test_a_flipped_byte_in_the_data_is_found_by_its_checksum(write_lake: WriteLake) -> None:
    table = pa.table({"a": np.arange(1000.0)})
    folder = Path(write_lake({"p.parquet": table}, group_rows=1000))
    content = bytearray((folder / "p.parquet").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (folder / "p.parquet").write_bytes(content)
    with pytest.raises(UnreadablePartitionError, match=r"p\.parquet"):
        read_all(open_lake(str(folder)))


def test_a_file_that_is_gone_or_rewritten_since_is_named(write_lake: WriteLake) -> None:
    folder = Path(write_lake(dict.fromkeys(DAYS, FLIGHTS)))
    lake = open_lake(str(folder), features=["dep_delay"])
    (folder / DAYS[1]).unlink()
    write_lake({DAYS[2]: FLIGHTS.slice(1)})
    with pytest.raises(UnreadablePartitionError, match=f"{DAYS[1]}' is gone"):
        list(lake.read(1))
    with pytest.raises(UnreadablePartitionError, match=f"{DAYS[2]}' was rewritten"):
        list(lake.read(2))


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read_is_named(write_lake: WriteLake) -> None:
    folder = Path(write_lake({DAYS[0]: FLIGHTS, DAYS[1]: FLIGHTS}))
    (folder / DAYS[1]).chmod(0)
    both_ways(open_lake(str(folder), features=["dep_delay"]), UnreadablePartitionError, DAYS[1])


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO])
def test_a_folder_that_cannot_be_listed_is_an_error_that_names_it(
    write_lake: WriteLake, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    folder = write_lake(dict.fromkeys(DAYS, FLIGHTS))
    refuse_to_list(monkeypatch, "dt=2013-01-02", code)
    with pytest.raises(StorageError, match=r"dt=2013-01-02") as caught:
        open_lake(folder)
    assert "AWS" not in str(caught.value)


@pytest.mark.parametrize(("name", "code"), [("_temporary", errno.EACCES), ("dt=2013-01-02", errno.ENOENT)])
def test_a_folder_that_holds_no_data_or_is_gone_meanwhile_is_passed_over(
    write_lake: WriteLake, monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    folder = write_lake({DAYS[0]: FLIGHTS, f"{name}/p.parquet": FLIGHTS})
    refuse_to_list(monkeypatch, name, code)
    assert [file.path for file in open_lake(folder).files] == [DAYS[0]]


def refuse_to_list(monkeypatch: pytest.MonkeyPatch, name: str, code: int) -> None:
    """Have the system fail as for a folder without permissions, which the superuser never meets."""
    scan = os.scandir

    def refusing(path: Any) -> Any:
        if Path(path).name == name:
            raise OSError(code, os.strerror(code), str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)


@pytest.mark.parametrize(
    ("code", "told"),
    [(errno.EACCES, "this user has no permission for '/data/x'"), (errno.EROFS, "'/data/x' is on a read-only file")],
)
def test_what_this_machine_refuses_is_not_laid_to_credentials(code: int, told: str) -> None:
    with pytest.raises(StorageError, match=f"^/data cannot be used: {told}") as caught, reaching("/data"):
        raise OSError(code, os.strerror(code), "/data/x")
    assert "AWS" not in str(caught.value)


def test_what_a_store_refuses_is_laid_to_credentials() -> None:
    with pytest.raises(StorageError, match=r"refused the credentials .*AWS_ACCESS_KEY_ID"), reaching("s3://bucket"):
        raise PermissionError("Access Denied")


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf"), None])
def test_a_weight_that_is_none_is_refused_with_partition_and_row(write_lake: WriteLake, wrong: float | None) -> None:
    table = pa.table({"a": [1.0] * 5, "w": [1.0, 0.0, 2.0, 1.0, wrong]})
    lake = open_lake(write_lake({"p.parquet": table}, group_rows=3), weight_column="w")
    with pytest.raises(InvalidInputError, match=r"row 4 of column 'w' of partition 'p.parquet' is (-1|nan|inf)"):
        read_all(lake)


def test_an_infinite_value_is_named_by_partition_feature_and_row_and_a_missing_one_passes(
    write_lake: WriteLake,
) -> None:
    table = pa.table({"a": [1.0, None, 3.0, 4.0], "b": [1.0, 2.0, 3.0, -np.inf]})
    lake = open_lake(write_lake({"dt=1/p.parquet": table}, group_rows=2))
    first, second = read_all(lake)
    require_finite(first, lake.features, lake.partitions)
    with pytest.raises(InvalidInputError, match=r"feature 'b' is -inf in row 3 of partition 'dt=1/p.parquet'"):
        require_finite(second, lake.features, lake.partitions)


def test_credentials_are_never_shown(write_lake: WriteLake) -> None:
    location = Location(uri="s3://KEY:SECRET@bucket/lake?token=SECRET", storage_options={"secret": "SECRET"})
    lake = open_lake(write_lake({"p.parquet": FLIGHTS}), storage_options={"auto_mkdir": False})
    for shown in (repr(location), location.shown, repr(lake), str(lake)):
        assert "SECRET" not in shown
        assert "auto_mkdir" not in shown
    assert location.shown == "s3://bucket/lake"


def test_errors_of_storage_hide_credentials_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise PermissionError(f"these do not work at http://there: {options}")

    options = {"key": "KEY", "client_kwargs": {"aws_session_token": "TOKEN", "endpoint_url": "http://there"}}
    monkeypatch.setattr(fsspec.core, "url_to_fs", refuse)
    with pytest.raises(StorageError, match=r"http://there.*check the environment") as told:
        open_lake("s3://bucket", storage_options=options)
    monkeypatch.undo()
    assert "'KEY'" not in str(told.value)
    assert "TOKEN" not in str(told.value)
    with pytest.raises(InvalidInputError) as caught:
        open_lake("warp://KEY:SECRET@bucket/lake", storage_options={"secret": "SECRET"})
    assert "SECRET" not in str(caught.value)
