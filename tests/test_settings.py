"""The settings file: what it says, and how its mistakes are told."""

from __future__ import annotations

import pickle
import re
import tomllib
import traceback
from pathlib import Path

import pytest

from gmmdask.errors import SettingsError
from gmmdask.settings import Drift, Settings, load_settings
from tests.nightly.lakes import SETTINGS, write_settings

ROOT = Path(__file__).parents[1]


def loaded(folder: Path, changes: dict[str, str] | None = None) -> Settings:
    return load_settings(write_settings(folder, changes))


def test_the_demonstration_is_described_as_documented():
    settings = load_settings(ROOT / "infra" / "demo.toml")
    assert settings.features == ("dep_delay", "arr_delay", "air_time", "distance", "sched_dep_minute")
    assert settings.describe == ("carrier", "origin", "dest")
    assert settings.grid.n_components == tuple(range(1, 11))
    assert len(settings.grid.covariance_types) == 4
    assert (settings.cluster.workers, settings.cluster.threads) == (2, 1)
    assert settings.source.uri == str(ROOT / "demo" / "lake")


def test_relative_paths_are_relative_to_the_file(tmp_path, monkeypatch):
    path = write_settings(tmp_path)
    monkeypatch.chdir(tmp_path.parent)
    settings = load_settings(path.relative_to(tmp_path.parent))
    assert settings.source.uri == str(tmp_path / "lake")
    assert settings.warehouse.uri == str(tmp_path / "house" / "warehouse.duckdb")
    assert settings.warehouse.staging == str(tmp_path / "house" / "warehouse.work")
    assert settings.registry.uri == str(tmp_path / "registry")


@pytest.mark.parametrize("uri", ["s3://bucket/lake", "memory://lake", "/somewhere/lake", "file:///somewhere/lake"])
def test_addresses_and_absolute_paths_stay_as_they_are(tmp_path, uri):
    assert loaded(tmp_path, {'"lake"': f'"{uri}"'}).source.uri == uri


def test_a_duckdb_address_may_hold_a_relative_path(tmp_path):
    settings = loaded(tmp_path, {'"house/warehouse.duckdb"': '"duckdb://w.db"'})
    assert settings.warehouse.uri == f"duckdb://{tmp_path}/w.db"
    assert settings.warehouse.staging == f"{tmp_path}/w.db.work"


def test_the_environment_overrides_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("GMMDASK_CLUSTER__WORKERS", "3")
    monkeypatch.setenv("GMMDASK_SOURCE__URI", "/elsewhere")
    settings = loaded(tmp_path)
    assert (settings.cluster.workers, settings.source.uri, settings.source.id) == (3, "/elsewhere", "ring")


def test_the_webhook_comes_from_the_environment_and_is_never_shown(tmp_path, monkeypatch):
    """Neither by the settings, nor by the traceback of a mistake elsewhere in them."""
    monkeypatch.setenv("GMMDASK_ALERTS__WEBHOOK", "https://hooks.example.org/T0K3N")
    settings = loaded(tmp_path, {"[grid]": '[alerts]\ncommand = ["./notify", "x"]\n[grid]'})
    assert settings.alerts.webhook.get_secret_value() == "https://hooks.example.org/T0K3N"
    assert settings.alerts.command == (str(tmp_path / "notify"), "x")
    assert "T0K3N" not in f"{settings!r} {settings} {settings.model_dump(mode='json')}"
    monkeypatch.setenv("GMMDASK_ALERTS__WEBHOOK", "hooks.example.org/T0K3N")
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path)
    assert "T0K3N" not in "".join(traceback.format_exception(caught.value))


def test_settings_can_be_sent_to_another_process(tmp_path):
    settings = loaded(tmp_path)
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_the_hash_covers_what_can_change_a_result_and_nothing_else(tmp_path):
    plain = loaded(tmp_path).decisive_hash
    same = {"publish_timeout = 0": "publish_timeout = 9", '"lake"': '"other"', '"registry"': '"r"'}
    assert loaded(tmp_path, same).decisive_hash == plain
    others = [
        {'"speed", "weight"': '"weight", "speed"'},
        {'["colour"]': "[]"},
        {'"birds"': '"fish"'},
        {"[1, 2, 3]": "[1, 2]"},
        {"[warehouse]": "[anomalies]\nquantile = 0.5\n[warehouse]"},
        {"[grid]": '[preparation]\nscale = "none"\n[grid]'},
        {"[grid]": '[preparation.columns.speed]\nmissing = "mean"\n[grid]'},
        {"[grid]": '[preparation]\none_hot = ["speed"]\n[grid]'},
        {'name = "birds"': 'name = "birds"\nentity = "snapshot"'},
        {'id = "ring"': 'id = "tag"'},
    ]
    assert len({plain, *(loaded(tmp_path, change).decisive_hash for change in others)}) == 1 + len(others)


MISTAKES = [
    ({"n_components": "n_component"}, r"unknown key grid\.n_component; did you mean grid\.n_components\?"),
    ({"[grid]": "[gird]\nx = 1\n[grid]"}, r"unknown key gird; did you mean grid\?"),
    ({'id = "ring"': 'id = "ring"\nfeatures = ["x"]'}, r"unknown key source\.features; did you mean features\?"),
    ({"[grid]": "[zzzzzz]\n[grid]"}, r"unknown key zzzzzz; known are features, describe, segmentation"),
    ({'id = "ring"\n': ""}, r"key source\.id is missing"),
    ({'features = ["speed", "weight"]\n': ""}, r"key features is missing"),
    ({'["speed", "weight"]': "[]"}, r"features = .*at least 1 item"),
    ({"[1, 2, 3]": "[0, 1]"}, r"grid\.n_components\.0 = 0: .*greater than or equal to 1"),
    ({"[1, 2, 3]": "[]"}, r"grid\.n_components = .*at least 1 item"),
    ({"[1, 2, 3]": "[2, 2]"}, r"grid\.n_components: 2 is given more than once"),
    ({'["diag"]': '["diagonal"]'}, r"grid\.covariance_types\.0 = 'diagonal': .*'diag'"),
    ({'"speed", "weight"': '"speed", "speed"'}, r"features: 'speed' is given more than once"),
    ({'["colour"]': '["colour", "ring"]'}, r"describe: 'ring' is also source\.id, .* leave it out"),
    ({'["colour"]': '["speed"]'}, r"features: 'speed' is also in describe"),
    ({'"speed", "weight"': '"speed", "ring"'}, r"features: 'ring' is also source\.id"),
    ({'id = "ring"': 'id = "ring"\nweight = "weight"'}, r"features: 'weight' is also source\.weight"),
    ({"[registry]": '[cluster]\naddress = "tcp://x:1"\nworkers = 2\n[registry]'}, r"cluster: address names a cluster"),
    ({"[registry]": "[cluster]\nworkers = 0\n[registry]"}, r"cluster\.workers = 0"),
    ({"publish_timeout = 0": "publish_timeout = -1"}, r"warehouse\.publish_timeout = -1"),
    ({"publish_timeout = 0": "publish_timeout = nan"}, r"warehouse\.publish_timeout = nan"),
    ({"publish_timeout = 0": 'memory = "much"'}, r"warehouse\.memory = 'much'"),
    ({"[warehouse]": "[anomalies]\nquantile = 1.0\n[warehouse]"}, r"anomalies\.quantile = 1\.0"),
    ({'name = "birds"': 'name = "the birds"'}, r"segmentation\.name = 'the birds'"),
    (
        {'id = "ring"': 'id = "ring"\nstorage_options = {secret = "x"}'},
        r"source\.storage_options: secret looks like a secret",
    ),
    ({'"lake"': '"s3://me:hidden@bucket/lake"'}, r"source\.uri: the address holds credentials"),
    ({"[grid]": "[alerts]\ncommand = []\n[grid]"}, r"alerts\.command = .*at least 1 item"),
    ({"[grid]": '[alerts]\ncommand = "notify"\n[grid]'}, r"alerts\.command = 'notify': .*valid tuple"),
    ({"[grid]": "[alerts]\ntimeout = 3\n[grid]"}, r"alerts: timeout is for a command or a webhook, and neither"),
    ({"[grid]": '[alerts]\ncommand = ["x"]\ntimeout = 0\n[grid]'}, r"alerts\.timeout = 0"),
    ({"[grid]": '[alerts]\nwebhok = "https://x"\n[grid]'}, r"unknown key alerts\.webhok; did you mean alerts\.webhook"),
    ({"[grid]": '[alerts]\nwebhook = "ftp://hidden"\n[grid]'}, r"alerts\.webhook: this is no http"),
    ({"[grid]": '[alerts]\nwebhook = "https://me:hidden@x/"\n[grid]'}, r"alerts\.webhook: this is no http"),
    ({"[grid]": '[alerts]\nwebhook = "https://x/hid den"\n[grid]'}, r"alerts\.webhook: this is no http"),
    ({"[grid]": "[grid"}, r"not valid TOML"),
]


def prepared(text: str) -> dict[str, str]:
    return {"[grid]": f"[preparation]\n{text}\n[grid]"}


MISTAKES += [
    (prepared('scale = "max"'), r"preparation\.scale = 'max': .*'minmax'"),
    (
        prepared('missing = "meen"'),
        r"preparation\.missing: 'meen' is neither a number nor one of drop, mean, median, mode",
    ),
    (prepared("missing = true"), r"preparation\.missing: True is neither a number"),
    (prepared("missing = nan"), r"preparation\.missing: nan is neither a number"),
    (
        prepared("[preparation.columns.sped]\nscale = 'none'"),
        r"columns\.sped: 'sped' is not among the features \(speed",
    ),
    (prepared("one_hot = ['colour']"), r"preparation\.one_hot: 'colour' is not among the features"),
    (prepared("one_hot = ['speed', 'speed']"), r"preparation\.one_hot: 'speed' is given more than once"),
    (
        prepared("one_hot = ['speed']\n[preparation.columns.speed]\ntransform = 'arcsinh'"),
        r"'speed' is in one_hot, and",
    ),
    (prepared("one_hot = ['speed']\n[preparation.columns.speed]\nscale = 'none'"), r"a category has no scale"),
    (prepared("one_hot = ['speed']\nmissing = 'mean'"), r"preparation\.missing = 'mean' cannot fill 'speed'"),
    (
        prepared("one_hot = ['speed']\n[preparation.columns.speed]\nmissing = 7"),
        r"columns\.speed\.missing = 7\.0 cannot fill 'speed'.*a text that becomes a category",
    ),
    (
        prepared("[preparation.columns.speed]\nmissing = 'fast'"),
        r"columns\.speed\.missing = 'fast': a number is filled",
    ),
    (
        prepared("[preparation.columns.speed]\ntransfrom = 'arcsinh'"),
        r"did you mean preparation\.columns\.NAME\.transform",
    ),
    (prepared("[preparation.columns.speed]\ntransform = 'log'"), r"preparation\.columns\.speed\.transform = 'log'"),
]


def test_what_is_asked_for_one_feature_goes_before_what_is_asked_for_all(tmp_path):
    text = "missing = 'mean'\nscale = 'none'\n[preparation.columns.speed]\nmissing = 0\n"
    preparation = loaded(tmp_path, prepared(text)).preparation
    assert preparation.of("speed").model_dump() == {"transform": "none", "scale": "none", "missing": 0.0}
    assert preparation.of("weight").model_dump() == {"transform": "none", "scale": "none", "missing": "mean"}


def test_a_category_may_be_filled_with_a_text_that_looks_like_a_number(tmp_path):
    text = "one_hot = ['speed']\n[preparation.columns.speed]\nmissing = '-1'"
    assert loaded(tmp_path, prepared(text)).preparation.of("speed").missing == "-1"


def test_preparation_can_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("GMMDASK_PREPARATION__MISSING", "2.5")
    monkeypatch.setenv("GMMDASK_PREPARATION__ONE_HOT", '["speed"]')
    monkeypatch.setenv("GMMDASK_PREPARATION__COLUMNS", '{"speed": {"missing": "mode"}}')
    preparation = loaded(tmp_path).preparation
    assert (preparation.missing, preparation.one_hot, preparation.of("speed").missing) == (2.5, ("speed",), "mode")


@pytest.mark.parametrize(("changes", "told"), MISTAKES)
def test_a_mistake_is_told_with_file_and_key(tmp_path, changes, told):
    with pytest.raises(SettingsError, match=told) as caught:
        loaded(tmp_path, changes)
    assert str(caught.value).startswith(str(tmp_path / "birds.toml"))
    assert "hidden" not in str(caught.value)


def test_other_mistakes_are_counted(tmp_path):
    with pytest.raises(SettingsError, match=r"\(and 1 more to mend\)"):
        loaded(tmp_path, {'id = "ring"\n': "", "[1, 2, 3]": "[]"})


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"nowhere\.toml: there is no such settings file"):
        load_settings(tmp_path / "nowhere.toml")


def test_an_environment_variable_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("GMMDASK_GRID__N_COMPONENTS", "one to ten")
    with pytest.raises(SettingsError, match="environment variable"):
        loaded(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"[grid]": '[alerts]\nwebhook = ["https://x/T0K3N"]\n[grid]'},
        {"features =": 'alerts = "https://x/T0K3N"\nfeatures ='},
        {'id = "ring"': 'id = "ring"\nstorage_options = "T0K3N"'},
        {'id = "ring"': 'id = "ring"\nstorage_options = {account_key = "T0K3N"}'},
        {'id = "ring"': 'id = "ring"\nstorage_options = {connection_string = "T0K3N"}'},
        {'id = "ring"': 'id = "ring"\nstorage_options = {client.headers.Authorization = "T0K3N"}'},
        {'id = "ring"': 'id = "ring"\nstorage_options = {clients = [{a = 1}, {password = "T0K3N"}]}'},
        {'"lake"': '["s3://me:T0K3N@bucket"]'},
    ],
)
def test_secrets_are_refused_and_not_shown_whatever_their_shape(tmp_path, changes):
    with pytest.raises(SettingsError, match=r"alerts|storage_options|source\.uri") as caught:
        loaded(tmp_path, changes)
    assert "T0K3N" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("GMMDASK_ALERTS", '{"webhook": ["https://x/T0K3N"]}', r"alerts\.webhook: .*environment: GMMDASK_ALERTS\)"),
        ("GMMDASK_ALERTS", '"https://x/T0K3N"', r"alerts: .*environment: GMMDASK_ALERTS\)"),
        ("GMMDASK_ALERTS", '["T0K3N', r"GMMDASK_ALERTS is no valid JSON"),
        ("gmmdask_alerts__timeout", "3", r"neither is named; .*environment: gmmdask_alerts__timeout\)"),
        ("GMMDASK_GRID__SEED", "x", r"grid\.seed = 'x': .*environment: GMMDASK_GRID__SEED\)"),
        ("GMMDASK_GRID__N_COMPONENTS", "[0]", r"n_components\.0 = 0: .*environment: GMMDASK_GRID__N_COMPONENTS\)"),
        ("GMMDASK_GRID__N_COMPONENTS", "[0", r"GMMDASK_GRID__N_COMPONENTS is no valid JSON"),
        (
            "GMMDASK_PREPARATION__COLUMNS__SPEED__MISSING",
            "x",
            r"environment: GMMDASK_PREPARATION__COLUMNS__SPEED__MISS",
        ),
    ],
)
def test_a_mistake_in_the_environment_is_told_with_its_variable_and_no_secret(
    tmp_path, monkeypatch, variable, value, told
):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=told) as caught:
        loaded(tmp_path)
    assert "T0K3N" not in "".join(traceback.format_exception(caught.value))


def test_a_mistake_in_the_file_is_not_laid_at_the_door_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("GMMDASK_GRID", '{"seed": 3}')
    with pytest.raises(SettingsError, match=r"n_components\.0 = 0: ") as caught:
        loaded(tmp_path, {"[1, 2, 3]": "[0]"})
    assert "GMMDASK" not in str(caught.value)


def test_a_number_for_one_column_can_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("GMMDASK_PREPARATION__COLUMNS__SPEED__MISSING", "3")
    assert loaded(tmp_path).preparation.of("speed").missing == 3.0


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("GMMDASK_CLUSTR__WORKERS", "did you mean GMMDASK_CLUSTER__WORKERS?"),
        ("GMMDASK_CLUSTER__WORKRS", "did you mean GMMDASK_CLUSTER__WORKERS?"),
        ("GMMDASK_CLUSTER_WORKERS", "did you mean GMMDASK_CLUSTER__WORKERS?"),
        ("gmmdask_featurs", "did you mean GMMDASK_FEATURES?"),
        ("GMMDASK_ZZZZZZ", "known are GMMDASK_FEATURES, GMMDASK_DESCRIBE"),
    ],
)
def test_a_variable_that_means_nothing_is_refused_with_the_nearest_that_does(tmp_path, monkeypatch, variable, told):
    monkeypatch.setenv(variable, "3")
    with pytest.raises(SettingsError, match=f"unknown environment variable {variable}; {re.escape(told)}"):
        loaded(tmp_path)


def test_variables_may_name_a_whole_section_or_an_option_of_storage(tmp_path, monkeypatch):
    monkeypatch.setenv("GMMDASK_CLUSTER", '{"workers": 3}')
    monkeypatch.setenv("GMMDASK_SOURCE__STORAGE_OPTIONS__endpoint_url", "http://127.0.0.1:1")
    settings = loaded(tmp_path)
    assert settings.cluster.workers == 3
    assert settings.source.storage_options == {"endpoint_url": "http://127.0.0.1:1"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({'"registry"': '"lake/models"'}, "registry.uri is .*/lake/models, which lies within the lake"),
        (
            {'"house/warehouse.duckdb"': '"lake/w.duckdb"'},
            "warehouse.staging is .*/lake/w.work, .*beside warehouse.uri",
        ),
        ({'"lake"': '"s3://b/lake/"', '"registry"': '"s3://b/lake"'}, "registry.uri is s3://b/lake, which lies within"),
    ],
)
def test_what_is_written_does_not_lie_within_the_lake(tmp_path, changes, told):
    with pytest.raises(SettingsError, match=told):
        loaded(tmp_path, changes)


def test_a_place_whose_name_begins_like_the_lakes_lies_beside_it(tmp_path):
    assert loaded(tmp_path, {'"registry"': '"lake-models"'}).registry.uri == str(tmp_path / "lake-models")


def test_every_section_is_optional_but_those_that_must_be_there():
    required = {name for name, field in Settings.model_fields.items() if field.is_required()}
    assert required == {"features", "segmentation", "source", "warehouse", "registry"}
    assert all(f"[{name}]" in SETTINGS for name in required - {"features"})


def test_the_readme_and_the_demonstration_tell_the_defaults_of_drift():
    """Those that are comments, with their numbers, too."""
    for path in (ROOT / "README.md", ROOT / "infra" / "demo.toml"):
        (block,) = re.findall(r"^\[drift\].*\n((?:[#a-z].*\n)+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        told = tomllib.loads(re.sub(r"^# ", "", block, flags=re.MULTILINE))
        assert Drift(**told) == Drift()
        assert set(Drift.model_fields) - set(told) <= {"refit_ratio"}
