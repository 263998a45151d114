"""What is said of columns before they are fitted: each defect is found wherever it hides, and sound columns are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmmdask.preparation.advice import KINDS, LISTED_COLUMNS, ColumnEvidence, Finding, advise, sentences

N = 2_000
SEEDS = st.integers(0, 2**32 - 1)
UNITS = st.floats(1e-6, 1e6)
SHIFTS = st.floats(-1e6, 1e6)


def evidence(columns, **more) -> ColumnEvidence:
    values = np.array(list(columns.values()))
    given = {
        "features": tuple(columns),
        "values": values,
        "minimum": np.nanmin(values, axis=1),
        "maximum": np.nanmax(values, axis=1),
        "missing": np.isnan(values).mean(axis=1),
    }
    return ColumnEvidence(**{**given, **more})


def sound(seed: int) -> dict[str, np.ndarray]:
    """Columns of every kind that mixtures are fitted to: two groups, rounded, skewed, whole numbers."""
    rng = np.random.default_rng(seed)
    return {
        "groups": np.where(rng.random(N) < 0.3, 0.0, 7.0) + rng.normal(size=N),
        "rounded": np.round(rng.normal(size=N) * 20),
        "skewed": rng.exponential(size=N),
        "counted": rng.poisson(50, N).astype(float),
    }


def kinds(found) -> dict[str, str]:
    return {finding.column: finding.kind for finding in found}


@given(SEEDS, UNITS, SHIFTS)
def test_sound_columns_are_not_spoken_of_in_any_unit(seed, unit, shift):
    columns = {name: values * unit + shift for name, values in sound(seed).items()}
    assert advise(evidence(columns)) == ()


@st.composite
def defects(draw):
    """A defective column and what is to be found of it."""
    rng = np.random.default_rng(draw(SEEDS))
    unit, shift = draw(UNITS), draw(SHIFTS)
    kind = draw(st.sampled_from(["constant", "duplicate", "near-id", "few values", "atom", "tail"]))
    made = {
        "constant": lambda: np.zeros(N),
        "near-id": lambda: rng.permutation(N).astype(float) * 3,
        "few values": lambda: rng.integers(0, draw(st.integers(2, 20)), N).astype(float),
        "atom": lambda: np.where(rng.random(N) < draw(st.floats(0.03, 0.8)), 0.5, rng.normal(size=N)),
        "tail": lambda: np.sinh(rng.normal(size=N) * 4),
        "duplicate": lambda: np.empty(0),
    }[kind]()
    if kind == "near-id":
        return kind, made + draw(st.integers(-(10**6), 10**6)), unit, shift
    return kind, made * unit + shift if kind != "tail" else made * unit, unit, shift


@given(defects(), SEEDS, st.integers(0, 4))
def test_a_defect_is_found_in_any_place_and_unit(defect, seed, place):
    """A copy is one of two columns that say the same; which of them is named follows from their order."""
    kind, values, unit, shift = defect
    columns = sound(seed)
    if kind == "duplicate":
        values = columns["groups"] * unit + shift
    names = list(columns)
    names.insert(place, "defect")
    told = kinds(advise(evidence({name: values if name == "defect" else columns[name] for name in names})))
    expected = "groups" if kind == "duplicate" and place == 0 else "defect"
    assert told == {expected: kind}


@given(SEEDS, st.permutations(range(4)))
def test_the_order_of_rows_and_columns_changes_nothing(seed, order):
    columns = {**sound(seed), "flag": np.arange(N) % 2.0, "rain": np.where(np.arange(N) % 3 > 0, 0.0, np.arange(N) / 7)}
    rows = np.random.default_rng(seed).permutation(N)
    names = [*np.array(list(columns))[[*order]].tolist(), "rain", "flag"]
    shuffled = {name: columns[name][rows] for name in names}
    assert (
        kinds(advise(evidence(shuffled))) == kinds(advise(evidence(columns))) == {"flag": "few values", "rain": "atom"}
    )


@given(SEEDS, st.floats(0.001, 0.5))
def test_a_copy_that_is_rounded_finely_is_a_copy_and_a_noisy_one_is_not(seed, noise):
    """The line is a share of 2e-5 of its variance that a column has on its own: a tenth of a degree, not a whole one."""
    rng = np.random.default_rng(seed)
    celsius = rng.normal(20, 10, N)
    noisy = celsius + noise * celsius.std() * rng.normal(size=N)
    columns = {"celsius": celsius, "fahrenheit": np.round(celsius * 1.8 + 32, 1)}
    assert kinds(advise(evidence(columns))) == {"fahrenheit": "duplicate"}
    expected = noise**2 / (1 + noise**2) < 2e-5
    told = advise(evidence({"celsius": celsius, "noisy": noisy}))
    if not 0.5 < noise**2 / 2e-5 < 2:  # what the draw of the noise may decide
        assert bool(told) == expected


def test_a_column_that_adds_others_up_is_told_with_their_names():
    columns = sound(0)
    total = {"total": columns["groups"] + columns["skewed"]}
    (finding,) = advise(evidence({**columns, **total}))
    assert (finding.kind, finding.found) == ("duplicate", "follows from groups, skewed")


@pytest.mark.parametrize(
    ("share", "imputed", "kind"),
    [
        (0.5, (), "missing"),
        (0.1, (), None),
        (0.5, ("groups",), "filled"),
        (0.1, ("groups",), "filled"),
        (0.04, ("groups",), None),
    ],
)
def test_missing_cells_cost_rows_or_are_filled_in_alike(share, imputed, kind):
    known = replace(evidence(sound(1)), missing=np.array([share, 0, 0, 0]), imputed=imputed)
    assert kinds(advise(known)) == ({} if kind is None else {"groups": kind})


@pytest.mark.parametrize(
    ("structures", "said"),
    [
        (("full", "diag"), "with full covariances"),
        (("tied", "full"), "with full and tied covariances"),
        (("spherical", "diag"), ""),
    ],
)
def test_indicators_are_spoken_of_where_they_cannot_be_fitted(structures, said):
    codes = {"carrier": np.arange(N) % 7 * 1e15}
    known = evidence({**sound(2), **codes}, categories=("carrier",), covariance_types=structures)
    found = advise(known)
    assert [finding.kind for finding in found] == (["one-hot"] if said else [])
    assert all(said in finding.found for finding in found)


def test_a_tail_that_is_drawn_in_is_not_spoken_of():
    columns = {"income": np.sinh(np.random.default_rng(0).normal(size=N) * 4)}
    assert kinds(advise(evidence(columns))) == {"income": "tail"}
    assert advise(evidence(columns, transformed=("income",))) == ()


def test_extremes_of_all_rows_count_where_the_sample_missed_them():
    columns = {"delay": np.random.default_rng(0).normal(size=N)}
    assert kinds(advise(evidence(columns, maximum=np.array([500.0])))) == {"delay": "tail"}


def test_a_column_that_is_constant_in_the_sample_alone_is_one_value():
    known = evidence({"alarm": np.zeros(N)}, maximum=np.array([1.0]))
    assert kinds(advise(known)) == {"alarm": "few values"}


def test_a_column_without_a_value_is_not_judged():
    columns = {**sound(0), "empty": np.full(N, np.nan)}
    known = evidence(sound(0))
    known = replace(
        known,
        features=tuple(columns),
        values=np.array(list(columns.values())),
        minimum=np.append(known.minimum, np.inf),
        maximum=np.append(known.maximum, -np.inf),
        missing=np.append(known.missing, 1.0),
    )
    assert kinds(advise(known)) == {"empty": "missing"}


def test_the_worst_comes_first_and_each_column_once():
    columns = {"flag": np.arange(N) % 2.0, "fixed": np.full(N, 3.0), **sound(3)}
    found = advise(evidence({**columns, "flag again": columns["flag"]}))
    assert [(finding.column, finding.kind) for finding in found] == [
        ("fixed", "constant"),
        ("flag again", "duplicate"),
        ("flag", "few values"),
    ]


def test_a_kind_is_one_line_however_many_columns_it_has():
    found = [Finding(column=f"c{number}", kind=kind, found="so") for kind in reversed(KINDS) for number in range(8)]
    lines = sentences(found)
    assert len(lines) == len(KINDS)
    assert lines[0].startswith("Without variation: c0 (so), c1 (so)")
    assert all(f" and {8 - LISTED_COLUMNS} more. " in line for line in lines)
    assert found[0].message in sentences(found[:1])
