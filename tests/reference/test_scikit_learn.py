"""scikit-learn's own tests of GaussianMixture, run with ours in its place.

The tests come out of the installed package when this module is collected; none of their text is here. `EXCLUDED` is the
whole list of those that are not expected to pass, each with its reason, and its entries are held to be true: an
excluded test that passes fails the run, save where rounding decides.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from unittest import mock

import numpy as np
import pytest
import sklearn.mixture

from gmmdask import GaussianMixture

MODULES = ("sklearn.mixture.tests.test_gaussian_mixture", "sklearn.mixture.tests.test_mixture")

PRIVATE = "tests private functions of scikit-learn; no mixture is ever made"
INTERNAL = "calls private methods of scikit-learn's class or counts calls of its private functions"
ROUNDING = "compares a start alone with the same start among ten without any slack; a larger stack rounds otherwise"

EXCLUDED: dict[str, str] = {
    "test_suffstat_sk_full": PRIVATE,
    "test_suffstat_sk_tied": PRIVATE,
    "test_suffstat_sk_diag": PRIVATE,
    "test_gaussian_suffstat_sk_spherical": PRIVATE,
    "test_compute_log_det_cholesky": PRIVATE,
    "test_gaussian_mixture_log_probabilities": PRIVATE,
    "test_gaussian_mixture_precisions_init": INTERNAL,
    "test_gaussian_mixture_all_init_does_not_estimate_gaussian_parameters": INTERNAL,
    "test_init": ROUNDING,
}

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


def loaded(name: str) -> ModuleType:
    """Execute a test module of scikit-learn under another name, with our class where it imports its own."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    module = ModuleType(f"reference_{name.rpartition('.')[2]}")
    module.__file__, module.__package__ = spec.origin, name.rpartition(".")[0]
    code = compile(Path(spec.origin).read_text(encoding="utf-8"), spec.origin, "exec")
    with mock.patch.object(sklearn.mixture, "GaussianMixture", GaussianMixture):
        exec(code, module.__dict__)
    return module


def names_in(code: CodeType) -> set[str]:
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*(names_in(constant) for constant in inner))


def with_lists(function: FunctionType) -> FunctionType:
    """Turn generators of parameters, which pytest no longer takes, into lists."""
    marks = getattr(function, "pytestmark", [])
    listed = [pytest.mark.parametrize(m.args[0], list(m.args[1])).mark if m.name == "parametrize" else m for m in marks]
    function.pytestmark = listed  # type: ignore[attr-defined]
    return function


TESTS = {
    name: with_lists(function)
    for module in map(loaded, MODULES)
    for name, function in vars(module).items()
    if name.startswith("test_") and isinstance(function, FunctionType)
}

for _name, _function in TESTS.items():
    if EXCLUDED.get(_name) == PRIVATE:
        continue
    if _name in EXCLUDED:
        # What the last bit decides may pass on another machine: tests/estimator has the same claim with the slack.
        _strict = EXCLUDED[_name] != ROUNDING
        _function = pytest.mark.xfail(strict=_strict, reason=EXCLUDED[_name])(_function)
    globals()[_name] = _function


@pytest.fixture
def global_random_seed() -> int:
    return 42


@pytest.fixture
def global_dtype() -> type[np.floating]:
    """scikit-learn runs these in float32 too where its users ask for it; ours fits in float64 whatever comes in."""
    return np.float64


def test_every_excluded_test_exists_and_private_ones_never_make_a_mixture() -> None:
    assert set(EXCLUDED) <= set(TESTS)
    assert [n for n, reason in EXCLUDED.items() if reason == PRIVATE and makes_mixture(TESTS[n])] == []


def test_the_class_under_test_is_ours() -> None:
    modules = {function.__globals__["GaussianMixture"] for function in TESTS.values()}
    assert modules == {GaussianMixture}
    assert len(TESTS) > 40


def makes_mixture(function: FunctionType) -> bool:
    called = names_in(function.__code__)
    makers = {n for n, f in function.__globals__.items() if isinstance(f, FunctionType) and n in called}
    return "GaussianMixture" in called or any(
        "GaussianMixture" in names_in(function.__globals__[maker].__code__) for maker in makers
    )
