"""The answers that the README gives are those of the demonstration's first night."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from gmmdask.nightly import run_night
from gmmdask.nightly.plan import warehouse_of
from gmmdask.settings import Cluster, Settings, load_settings
from gmmdask.warehouse import Warehouse
from infra.demonstration import write_demonstration
from infra.readme_answers import LAST_DATE, README, SETTINGS, answered, answers, ask, differences


def settings_below(root: Path) -> Settings:
    """Return the demonstration's settings in a folder of their own, in this process, and with the winner's structure alone.

    The search of one structure does not depend on the others, and the winner has full covariances.
    """
    settings = load_settings(SETTINGS)
    changes = {
        "source": {"uri": str(root / "lake")},
        "warehouse": {"uri": str(root / "warehouse.duckdb"), "staging": str(root / "work")},
        "registry": {"uri": str(root / "registry")},
        "report": {"reports": "none", "trend": False},
        "grid": {"covariance_types": ("full",)},
    }
    sections = {name: getattr(settings, name).model_copy(update=update) for name, update in changes.items()}
    return settings.model_copy(update={**sections, "cluster": Cluster(threads=2)})


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """What the first `make nightly` leaves."""
    root = tmp_path_factory.mktemp("demonstration")
    write_demonstration(root / "lake")
    settings = settings_below(root)
    run_night(settings, LAST_DATE)
    return warehouse_of(settings)


@pytest.mark.timeout(600)
def test_every_answer_of_the_readme_is_that_of_the_warehouse(demonstration):
    """Words to the letter, numbers to the last digit shown. To renew them: make clean nightly, python -m infra.readme_answers."""
    given = answers(README.read_text(encoding="utf-8"))
    assert len(given) >= 5
    for one in given:
        assert list(differences(one.lines, ask(demonstration, one.query))) == []


def test_an_answer_that_differs_is_told_and_mended(demonstration):
    text = README.read_text(encoding="utf-8")
    first = answers(text)[0]
    spoilt = text.replace(first.lines[1], f"{first.lines[1]} spoilt")
    assert len(list(differences(answers(spoilt)[0].lines, ask(demonstration, first.query)))) == 1
    mended = answers(answered(spoilt, demonstration))
    assert list(differences(mended[0].lines, ask(demonstration, first.query))) == []
    assert [one.query for one in mended] == [one.query for one in answers(text)]


@pytest.mark.parametrize(
    ("shown", "asked", "n_different"),
    [
        (["a  1.2"], ["a   1.3"], 0),
        (["a  1.2"], ["a  1.4"], 1),
        (["a  12"], ["a  13"], 0),
        (["a  12"], ["a  14"], 1),
        (["a  -0.10"], ["a  -0.13"], 1),
        (["a  1"], ["b  1"], 1),
        (["a  1"], ["a  1  2"], 1),
        (["2013-03-11  x"], ["2013-03-12  x"], 1),
        (["n", "1", "2"], ["n", "1"], 1),
    ],
)
def test_numbers_may_differ_in_their_last_digit_and_words_not_at_all(shown, asked, n_different):
    assert len(list(differences(shown, asked))) == n_different


class Fixed:
    """Answers every query with the same table."""

    def query(self, sql: str, parameters: object = None) -> pa.Table:
        return pa.table({"name": ["a", None], "n": [1, 1000], "share": [0.5, 12.25]})


def test_an_answer_is_laid_out_with_numbers_to_the_right():
    assert ask(Fixed(), "SELECT") == ("name     n  share", "a        1    0.5", "      1000  12.25")
