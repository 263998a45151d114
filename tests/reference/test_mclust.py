"""What mclust prints for Fisher's irises, `mclustBIC(iris[, 1:4])`: its VII, VVI, EEE and VVV are our four structures."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris

from gmmdask import GaussianMixture, select

PUBLISHED = {
    "spherical": (-1804.0854, -1012.2352, -853.8144),
    "diag": (-1522.1202, -857.5515, -744.6382),
    "tied": (-829.9782, -688.0972, -632.9647),
    "full": (-829.9782, -574.0178, -580.8396),
}


def irises() -> np.ndarray:
    return np.asarray(load_iris().data)


@pytest.mark.parametrize("structure", PUBLISHED)
def test_every_criterion_is_that_of_mclust(structure: str) -> None:
    """To 0.01, and never worse but for the last digit: mclust stops a little before the top. Higher is better there."""
    rows = irises()
    for k, published in enumerate(PUBLISHED[structure], 1):
        model = GaussianMixture(k, covariance_type=structure, reg_covar=0.0, tol=1e-9, max_iter=3000, random_state=0)  # type: ignore[arg-type]
        assert published - 1e-4 <= -model.fit(rows).bic(rows) <= published + 0.01


def test_the_choice_among_them_is_that_of_mclust_and_no_larger_model_of_few_rows() -> None:
    """To 0.01: VVV with two components, though values are rounded to one digit and rows occur twice."""
    selection = select(irises(), n_components=range(1, 6), random_state=0)
    best = selection.result.best
    assert (best.covariance_type, best.n_components) == ("full", 2)
    assert best.bic == pytest.approx(574.0178, abs=0.01)
