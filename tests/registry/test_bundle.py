"""Bundles come back as they were or not at all."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from uuid import uuid4

import fsspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from gmmdask.errors import InvalidInputError, StorageError
from gmmdask.registry import Bundle, Part, load_bundle, save_bundle

NAMES = st.text("abcdefghij_", min_size=1, max_size=8)
ARRAYS = npst.arrays(npst.floating_dtypes() | npst.integer_dtypes() | npst.boolean_dtypes(), npst.array_shapes())
DOCUMENTS = st.dictionaries(
    NAMES, st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(NAMES)
)
PARTS = st.builds(
    lambda arrays, document: Part(arrays=arrays, document=document), st.dictionaries(NAMES, ARRAYS), DOCUMENTS
)


@settings(max_examples=30)
@given(parts=st.dictionaries(NAMES, PARTS, max_size=4))
def test_a_bundle_comes_back_bit_by_bit_from_any_filesystem(parts: dict[str, Part]) -> None:
    uri = f"memory://{uuid4()}/model"
    fingerprint = save_bundle(Bundle(kind="any", parts=parts), uri)
    loaded = load_bundle(uri)
    assert loaded.fingerprint == fingerprint
    assert loaded.kind == "any"
    assert loaded.parts.keys() == parts.keys()
    for name, part in parts.items():
        assert json.dumps(loaded.parts[name].document, sort_keys=True) == json.dumps(part.document, sort_keys=True)
        assert {k: (a.dtype, a.shape, a.tobytes()) for k, a in loaded.parts[name].arrays.items()} == {
            k: (a.dtype, a.shape, a.tobytes()) for k, a in part.arrays.items()
        }


def example(value: float = 1.0) -> Bundle:
    return Bundle(kind="any", parts={"numbers": Part(arrays={"x": np.array([value, 2.0])}, document={"name": "one"})})


def test_a_bundle_says_which_versions_made_it(tmp_path: Path) -> None:
    save_bundle(example(), str(tmp_path / "model"))
    versions = load_bundle(str(tmp_path / "model")).versions
    assert versions["numpy"] == np.__version__
    assert set(versions) >= {"gmmdask", "scipy", "numba"}


def test_saving_the_same_bundle_again_changes_no_file(tmp_path: Path) -> None:
    uri = tmp_path / "model"
    save_bundle(example(), str(uri))
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in uri.iterdir()}
    save_bundle(example(), str(uri))
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in uri.iterdir()} == before


def test_another_bundle_does_not_replace_one_that_is_there(tmp_path: Path) -> None:
    uri = str(tmp_path / "model")
    save_bundle(example(1.0), uri)
    with pytest.raises(InvalidInputError, match="already holds another bundle"):
        save_bundle(example(3.0), uri)
    assert load_bundle(uri).parts["numbers"].arrays["x"][0] == 1.0


def test_an_attempt_that_was_interrupted_before_its_last_file_is_no_bundle_and_can_be_repeated(tmp_path: Path) -> None:
    uri = tmp_path / "model"
    save_bundle(example(), str(uri))
    (uri / "bundle.json").unlink()
    with pytest.raises(StorageError, match="cannot be read"):
        load_bundle(str(uri))
    save_bundle(example(), str(uri))
    assert load_bundle(str(uri)).kind == "any"


@given(data=st.data())
def test_a_bundle_with_any_byte_of_its_arrays_changed_is_refused(data: st.DataObject) -> None:
    uri = f"memory://{uuid4()}/model"
    save_bundle(example(), uri)
    filesystem, root = fsspec.core.url_to_fs(uri)
    content = bytearray(filesystem.cat_file(f"{root}/arrays.npz"))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    filesystem.pipe_file(f"{root}/arrays.npz", bytes(content))
    with pytest.raises(InvalidInputError, match="not what was saved"):
        load_bundle(uri)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["parts"]["numbers"].update(name="two"), "not what was saved"),
        (lambda d: d.update(kind="other"), "not what was saved"),
        (lambda d: d.update(fingerprint="0" * 32), "not what was saved"),
        (lambda d: d.pop("fingerprint"), "is damaged"),
        (lambda d: d.update(format=99), "format 99.*written by a newer gmmdask"),
        (lambda d: d.update(format=2, versions=5), "format 2.*gmmdask, of an unknown version"),
        (lambda d: d.update(format=0), "format 0.*written by an older gmmdask"),
    ],
)
def test_a_bundle_whose_document_was_changed_is_refused(tmp_path: Path, change: object, message: str) -> None:
    uri = tmp_path / "model"
    save_bundle(example(), str(uri))
    document = json.loads((uri / "bundle.json").read_text())
    change(document)  # type: ignore[operator]
    (uri / "bundle.json").write_text(json.dumps(document))
    with pytest.raises(InvalidInputError, match=message):
        load_bundle(str(uri))


@pytest.mark.parametrize("lost", ["kind", "parts", "numbers"])
def test_a_document_that_lost_a_part_is_named_even_with_a_valid_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    uri = tmp_path / "model"
    save_bundle(example(), str(uri))
    document = json.loads((uri / "bundle.json").read_text())
    (document if lost in document else document["parts"]).pop(lost)
    (uri / "bundle.json").write_text(json.dumps(document))
    monkeypatch.setattr("gmmdask.registry.bundle._fingerprint", lambda content, arrays: document["fingerprint"])
    with pytest.raises(InvalidInputError, match=rf"bundle\.json is damaged: it does not name '{lost}'"):
        load_bundle(str(uri))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe"])
def test_a_document_that_is_not_one_is_refused(tmp_path: Path, content: bytes) -> None:
    uri = tmp_path / "model"
    save_bundle(example(), str(uri))
    (uri / "bundle.json").write_bytes(content)
    with pytest.raises(InvalidInputError, match="is damaged"):
        load_bundle(str(uri))


DAMAGE = {
    "document cut": lambda uri: (uri / "bundle.json").write_bytes((uri / "bundle.json").read_bytes()[:50]),
    "a list": lambda uri: (uri / "bundle.json").write_text("[1]"),
    "a number": lambda uri: (uri / "bundle.json").write_text("7"),
    "arrays lost": lambda uri: (uri / "arrays.npz").unlink(),
    "arrays cut": lambda uri: (uri / "arrays.npz").write_bytes(b"PK"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_saving_the_same_bundle_again_mends_one_that_was_damaged_byte_for_byte(tmp_path: Path, damage: object) -> None:
    uri = tmp_path / "model"
    save_bundle(example(), str(uri))
    before = {path.name: path.read_bytes() for path in uri.iterdir()}
    damage(uri)  # type: ignore[operator]
    with pytest.raises(InvalidInputError):
        load_bundle(str(uri))
    save_bundle(example(), str(uri))
    assert {path.name: path.read_bytes() for path in uri.iterdir()} == before


def test_another_bundle_that_is_not_whole_is_replaced_only_where_that_is_asked_for(tmp_path: Path) -> None:
    uri = str(tmp_path / "model")
    save_bundle(example(1.0), uri)
    (tmp_path / "model" / "arrays.npz").unlink()
    with pytest.raises(InvalidInputError, match="already holds another bundle"):
        save_bundle(example(3.0), uri)
    save_bundle(example(3.0), uri, replace_damaged=True)
    assert load_bundle(uri).parts["numbers"].arrays["x"][0] == 3.0
    with pytest.raises(InvalidInputError, match="already holds another bundle"):
        save_bundle(example(1.0), uri, replace_damaged=True)


@pytest.mark.parametrize("uri", ["memory", "local"])
def test_lost_arrays_are_named(tmp_path: Path, uri: str) -> None:
    uri = f"memory://{uuid4()}/model" if uri == "memory" else str(tmp_path / "model")
    save_bundle(example(), uri)
    filesystem, root = fsspec.core.url_to_fs(uri)
    filesystem.rm_file(f"{root}/arrays.npz")
    with pytest.raises(InvalidInputError, match=r"model/arrays\.npz is missing; restore it or train again"):
        load_bundle(uri)


class Trap:
    sprung = False

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (_spring, ("x",))


def _spring(_: str) -> None:
    Trap.sprung = True


def test_loading_a_bundle_never_runs_a_pickle_even_with_a_valid_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = tmp_path / "model"
    save_bundle(example(), str(uri))
    member = io.BytesIO()
    np.lib.format.write_array(member, np.array([Trap()], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(uri / "arrays.npz", "w") as archive:
        archive.writestr("numbers/x.npy", member.getvalue())
    document = json.loads((uri / "bundle.json").read_text())
    monkeypatch.setattr("gmmdask.registry.bundle._fingerprint", lambda content, arrays: document["fingerprint"])
    with pytest.raises(InvalidInputError, match="allow_pickle=False"):
        load_bundle(str(uri))
    assert not Trap.sprung
    pickle.loads(pickle.dumps(Trap()))
    assert Trap.sprung  # the trap works


def test_arrays_of_objects_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    bundle = Bundle(kind="any", parts={"a": Part(arrays={"x": np.array([object()])})})
    with pytest.raises(InvalidInputError, match="objects"):
        save_bundle(bundle, str(tmp_path / "model"))
    assert not (tmp_path / "model").exists()


def test_a_place_that_holds_no_bundle_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nowhere"):
        load_bundle(str(tmp_path / "nowhere"))
    with pytest.raises(StorageError, match="nosuchprotocol"):
        load_bundle("nosuchprotocol://x")


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no part 'b'; it has \\['numbers'\\]"):
        example().part("b")
