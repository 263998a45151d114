"""An exported model does in plain scikit-learn what gmmdask does, for any schema, and refuses what it cannot."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as examined
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from typer.testing import CliRunner

from gmmdask import GaussianMixture, export_pipeline, load_model
from gmmdask.cli import app
from gmmdask.errors import InvalidInputError
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.stack import Reference
from gmmdask.mixture.structures import structure_named
from gmmdask.nightly import export_night_model, run_night
from gmmdask.nightly.plan import warehouse_of
from gmmdask.preparation import CategoryPolicy, NumericColumn, NumericPolicy, Recipe, RowStatus
from gmmdask.scoring import SegmentModel, score_leaf
from gmmdask.settings import load_settings
from tests.nightly import shops
from tests.nightly.lakes import birds, write_day, write_world
from tests.nightly.shops import orders
from tests.preparation.worlds import Schema, coded, schemas

STRUCTURES = ("full", "tied", "diag", "spherical")
TEXTS = ("object", "str", "string", "category")


@dataclass(frozen=True)
class Example:
    """A model, and rows for it as a lake and as a data frame have them."""

    model: SegmentModel
    values: np.ndarray
    frame: pd.DataFrame


def mixture_over(prepared: np.ndarray, structure: str, k: int, seed: int) -> MixtureParameters:
    """Return a mixture whose components lie about the rows and are as wide as these."""
    rng = np.random.default_rng(seed)
    d, spread = len(prepared), np.maximum(prepared.std(axis=1), 0.1)
    roots = rng.normal(size=(k, d, d)) / np.sqrt(d)
    matrices = (0.5 * roots @ roots.transpose(0, 2, 1) + 0.5 * np.eye(d)) * np.outer(spread, spread)
    covariances = {
        "full": matrices,
        "tied": matrices[0],
        "diag": np.diagonal(matrices, axis1=1, axis2=2).copy(),
        "spherical": rng.uniform(0.3, 2, k) * spread.max() ** 2,
    }[structure]
    means = prepared[:, rng.integers(0, prepared.shape[1], k)].T + rng.normal(size=(k, d)) * spread
    return MixtureParameters(
        structure=structure_named(structure),
        weights=rng.dirichlet(np.full(k, 2.0)),
        means=means,
        covariances=covariances,
    )


def model_of(recipe: Recipe, values: np.ndarray, structure: str = "full", k: int = 2, seed: int = 0) -> SegmentModel:
    prepared, _ = recipe.apply(values)
    return SegmentModel(
        recipe=recipe,
        parameters=mixture_over(prepared, structure, k, seed),
        reference=Reference(centre=prepared.mean(axis=1), scale=np.maximum(prepared.std(axis=1), 0.1)),
        segment_ids=tuple(range(10, 10 + k)),
    )


def frame_of(schema: Schema, kind: str = "object") -> pd.DataFrame:
    columns = {name: pd.Series(texts, dtype=kind) for name, texts in schema.texts.items()}
    return pd.DataFrame({name: columns.get(name, schema.numbers.get(name)) for name in schema.policies})


@st.composite
def examples(draw: st.DrawFn) -> Example:
    """A column that is not scaled has about the width of the others: its digits are lost in both products otherwise."""
    schema = draw(schemas())
    numbers = {
        name: (row - np.nanmean(row)) / np.nanstd(row) if is_unscaled(schema, name) else row
        for name, row in schema.numbers.items()
    }
    schema = replace(schema, numbers=numbers)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = draw(st.sampled_from([None, rng.uniform(0.1, 3, schema.values.shape[1])]))
    model = model_of(
        schema.recipe(weights),
        schema.values,
        draw(st.sampled_from(STRUCTURES)),
        draw(st.integers(1, 4)),
        draw(st.integers(0, 2**32 - 1)),
    )
    return Example(model, schema.values, frame_of(schema, draw(st.sampled_from(TEXTS))))


def is_unscaled(schema: Schema, name: str) -> bool:
    policy = schema.policies[name]
    return isinstance(policy, NumericPolicy) and policy.scale == "none"


@given(examples())
@examined(max_examples=60)
def test_any_schema_gives_the_same_probabilities_and_densities(example: Example) -> None:
    """To 1e-10, relative for densities; the log density of gmmdask is that of raw units."""
    scores = score_leaf(example.values, example.model)
    rows = example.frame[scores.scored]
    pipeline = export_pipeline(example.model)
    probabilities = pipeline.predict_proba(rows)
    np.testing.assert_allclose(probabilities, scores.responsibilities.T, rtol=0, atol=1e-10)
    raw_units = scores.log_density - example.model.recipe.log_jacobian(example.values)
    np.testing.assert_allclose(pipeline.score_samples(rows), raw_units, rtol=1e-10, atol=1e-10)
    clear = np.ptp(np.sort(scores.responsibilities, axis=0)[-2:], axis=0) > 1e-9
    clear |= len(scores.responsibilities) == 1
    assert (pipeline.predict(rows)[clear] == scores.component[clear]).all()
    prepared, _ = example.model.recipe.apply(example.values)
    assert np.asarray(pipeline[:-1].transform(rows)).tobytes() == np.ascontiguousarray(prepared.T).tobytes()


@given(examples())
@examined(max_examples=60)
def test_rows_without_a_segment_are_refused_one_by_one(example: Example) -> None:
    pipeline = export_pipeline(example.model)
    status = example.model.recipe.status(example.values)
    for number in np.flatnonzero(status != RowStatus.OK):
        with pytest.raises(ValueError, match=r"NaN|unknown categor"):
            pipeline.predict(example.frame.iloc[[number]])


@given(examples())
@examined(max_examples=60)
def test_a_category_never_met_and_an_infinite_number_are_what_the_recipe_says(example: Example) -> None:
    recipe, pipeline = example.model.recipe, export_pipeline(example.model)
    for number, column in enumerate(recipe.columns):
        row, values = example.frame.iloc[[0]].copy(), example.values[:, :1].copy()
        if isinstance(column, NumericColumn):
            row[column.name], values[number] = np.inf, np.inf
        else:
            row[column.name], values[number] = "never met", coded(("never met",))[0]
        if recipe.status(values)[0] == RowStatus.OK:
            expected = score_leaf(values, example.model).responsibilities.T
            np.testing.assert_allclose(pipeline.predict_proba(row), expected, rtol=0, atol=1e-10)
        else:
            with pytest.raises(ValueError, match=r"infinity|unknown categor"):
                pipeline.predict(row)


def small_model() -> tuple[SegmentModel, pd.DataFrame]:
    frame = pd.DataFrame({"x": [1.0, np.nan, 3.0, 5.0, 8.0], "kind": ["a", "b", None, "a", "b"]})
    schema = Schema(
        policies={"x": NumericPolicy(missing="median", transform="arcsinh"), "kind": CategoryPolicy(fill="none")},
        numbers={"x": frame["x"].to_numpy()},
        texts={"kind": tuple(None if pd.isna(one) else one for one in frame["kind"])},
    )
    return model_of(schema.recipe(), schema.values), frame


def test_a_file_opens_and_predicts_where_gmmdask_is_not_loaded(tmp_path: Path) -> None:
    """Bits, in a process of its own."""
    model, frame = small_model()
    pipeline = export_pipeline(model)
    joblib.dump(pipeline, tmp_path / "model.joblib")
    frame.to_pickle(tmp_path / "rows.pickle")
    script = (
        "import sys, joblib, pandas, numpy\n"
        "pipeline = joblib.load('model.joblib')\n"
        "numpy.save('found.npy', pipeline.predict_proba(pandas.read_pickle('rows.pickle')))\n"
        "assert not any(name.split('.')[0] in ('gmmdask', 'dask', 'numba') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, timeout=100)
    assert np.load(tmp_path / "found.npy").tobytes() == pipeline.predict_proba(frame).tobytes()


def test_positions_lead_to_the_stable_ids_and_other_columns_do_not_matter() -> None:
    model, frame = small_model()
    pipeline = export_pipeline(model)
    assert pipeline.segment_ids_.tolist() == [10, 11]
    mixed = frame.assign(other="text")[["other", "kind", "x"]]
    assert pipeline.predict(mixed).tolist() == score_leaf(columns_of(model, frame), model).component.tolist()


def columns_of(model: SegmentModel, frame: pd.DataFrame) -> np.ndarray:
    texts = tuple(None if pd.isna(one) else str(one) for one in frame["kind"])
    by_name = {"x": frame["x"].to_numpy(), "kind": coded(texts)}
    return np.array([by_name[name] for name in model.recipe.features])


def test_names_of_prepared_features_come_out() -> None:
    preparation = export_pipeline(small_model()[0])[:-1]
    assert preparation.get_feature_names_out().tolist() == ["x", "kind_a", "kind_b", "kind_none"]


@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_fitted_estimator_is_exported_alone(structure: str) -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(np.concatenate([rng.normal(size=(80, 2)), rng.normal(5, 2, (80, 2))]), columns=["a", "b"])
    fitted = GaussianMixture(2, covariance_type=structure, random_state=0).fit(rows)
    exported = export_pipeline(fitted)
    assert type(exported) is Pipeline
    np.testing.assert_allclose(exported.predict_proba(rows), fitted.predict_proba(rows), rtol=0, atol=1e-10)
    np.testing.assert_allclose(exported.score_samples(rows), fitted.score_samples(rows), rtol=1e-10)
    assert exported[-1].bic(rows) == pytest.approx(fitted.bic(rows), rel=1e-12)
    assert (exported[-1].n_iter_, exported[-1].converged_) == (fitted.n_iter_, fitted.converged_)
    assert exported[-1].sample(5)[0].shape == (5, 2)


@pytest.mark.parametrize("offset", [1e3, 1e6, 1e9])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_far_from_zero_no_digit_is_lost(structure: str, offset: float) -> None:
    rng = np.random.default_rng(3)
    rows = np.concatenate([rng.normal(size=(300, 2)), rng.normal(size=(300, 2)) + 6.0]) + offset
    model = GaussianMixture(2, covariance_type=structure, random_state=0).fit(rows)
    exported = export_pipeline(model)
    np.testing.assert_allclose(
        exported.score_samples(rows), model.score_samples(rows), atol=1e-6 if offset == 1e9 else 1e-8
    )
    np.testing.assert_array_equal(exported.predict(rows), model.predict(rows))


def test_what_cannot_be_exported_is_refused_with_the_reason() -> None:
    with pytest.raises(NotFittedError):
        export_pipeline(GaussianMixture())
    with pytest.raises(InvalidInputError, match="a dict cannot be exported"):
        export_pipeline({})  # type: ignore[arg-type]
    model, _ = small_model()
    bent = NumericColumn(name="x", transform="cube root")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="no step for transform 'cube root' of column 'x'"):
        export_pipeline(replace(model, recipe=Recipe(columns=(bent,))))


def test_the_command_exports_the_champion_and_its_labels_are_those_of_the_warehouse(tmp_path: Path) -> None:
    settings = write_world(tmp_path, days=2)
    run_night(settings)
    file = tmp_path / "new folder" / "model.joblib.gz"
    done = CliRunner().invoke(app, ["export", str(tmp_path / "birds.toml"), str(file)])
    assert done.exit_code == 0, done.stderr
    (champion,) = warehouse_of(settings).query("FROM champion").to_pylist()
    assert champion["champion_id"] in done.stdout
    labels = warehouse_of(settings).query("FROM current_assignments WHERE status = 'ok' ORDER BY id").to_pandas()
    rows = pd.concat([birds(number).to_pandas() for number in range(2)]).set_index("ring").loc[labels["id"]]
    pipeline = joblib.load(file)
    assert pipeline.segment_ids_[pipeline.predict(rows)].tolist() == labels["segment_id"].tolist()
    expected = np.array(labels["probabilities"].tolist())
    np.testing.assert_allclose(pipeline.predict_proba(rows), expected, rtol=0, atol=1e-10)
    again = CliRunner().invoke(
        app, ["export", str(tmp_path / "birds.toml"), str(file), "--model", champion["champion_id"]]
    )
    assert again.exit_code == 0, again.stderr
    assert [found.name for found in file.parent.iterdir()] == [file.name]


def test_rows_as_pandas_reads_them_from_the_lake_get_their_published_segments(tmp_path: Path) -> None:
    """Text, booleans, and whole numbers that are floats where one is missing."""
    for number in range(2):
        table = orders(number)
        floor = pa.array(np.arange(len(table)) % 3, mask=np.arange(len(table)) % 50 == 7)
        write_day(tmp_path, number, table.append_column("floor", floor))
    changes = {
        '"carrier", "gift"]\ndesc': '"carrier", "gift", "floor"]\ndesc',
        'one_hot = ["carrier", "gift"]': 'one_hot = ["carrier", "gift", "floor"]',
        "[grid]": '[preparation.columns.floor]\nmissing = "mode"\n\n[grid]',
        '["diag"]': '["spherical"]',
    }
    settings = load_settings(shops.write_settings(tmp_path, changes))
    run_night(settings)
    export_night_model(settings, tmp_path / "model.joblib")
    labels = warehouse_of(settings).query("FROM current_assignments WHERE status = 'ok' ORDER BY id").to_pandas()
    rows = pd.concat([pd.read_parquet(file) for file in sorted((tmp_path / "lake").rglob("*.parquet"))])
    rows = rows.set_index("id").loc[labels["id"]]
    assert {"bool", "float64"} <= {str(kind) for kind in rows[["gift", "floor"]].dtypes}
    found = joblib.load(tmp_path / "model.joblib").predict_proba(rows)
    np.testing.assert_allclose(found, np.array(labels["probabilities"].tolist()), rtol=0, atol=1e-10)


def test_an_export_that_is_not_possible_is_told_in_a_sentence(tmp_path: Path) -> None:
    settings = write_world(tmp_path, days=1)
    arguments = ["export", str(tmp_path / "birds.toml"), str(tmp_path / "model.joblib")]
    early = CliRunner().invoke(app, arguments)
    assert (early.exit_code, early.stderr.count("\n")) == (1, 1)
    assert "no model of segmentation 'birds' is in force yet" in early.stderr
    run_night(settings)
    unknown = CliRunner().invoke(app, [*arguments, "--model", "feedfacefeedface"])
    assert unknown.exit_code == 1
    assert "there is no model 'feedfacefeedface'" in unknown.stderr
    blocked = CliRunner().invoke(app, [*arguments[:2], str(tmp_path)])
    assert blocked.exit_code == 1
    assert "cannot be written" in blocked.stderr
    assert not list(tmp_path.glob("*.joblib")) + list(tmp_path.parent.glob(f".{tmp_path.name}.*"))


def test_loading_the_model_of_a_night_says_which_command_exports_it(tmp_path: Path) -> None:
    settings = write_world(tmp_path, days=1)
    run_night(settings)
    (bundle,) = (tmp_path / "registry" / "birds").iterdir()
    with pytest.raises(InvalidInputError, match=r"model of a night.*gmmdask export"):
        load_model(bundle)
