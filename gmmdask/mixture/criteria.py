"""Scores of a fitted mixture: AIC, BIC, ICL, entropy, expected densities and what is left to gain.

All are computed from the sums of one pass; lower is better for AIC, BIC and ICL.
"""

from __future__ import annotations

import numpy as np

from gmmdask.mixture.em import WeightType
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.structures import FloatArray, Moments


def expected_log_joint(parameters: MixtureParameters, moments: Moments) -> float:
    """Return Σ_i Σ_k r_ik·log(w_k·N(x_i | μ_k, Σ_k)) in nats: the value of EM's auxiliary function.

    Parameters
    ----------
    parameters : MixtureParameters
        Where to evaluate; need not be what gave the responsibilities.
    moments : Moments
        Sums with those responsibilities, as the structure of `parameters` needs them.
    """
    d = parameters.n_features
    shift = parameters.means - moments.references
    outer = moments.first[:, :, None] * shift[:, None, :]
    quadratic = moments.counts[:, None, None] * shift[:, :, None] * shift[:, None, :] - outer - outer.transpose(0, 2, 1)
    about_means = moments.second + parameters.structure.compress(quadratic)
    constants = parameters.log_weights + parameters.log_determinants - 0.5 * d * np.log(2 * np.pi)
    precisions = parameters.precision_factors @ parameters.precision_factors.transpose(0, 2, 1)
    return float(moments.counts @ constants - 0.5 * _inner(parameters, precisions, about_means))


def _inner(parameters: MixtureParameters, precisions: FloatArray, second: FloatArray) -> float:
    name = parameters.structure.name
    if name == "full":
        return float(np.sum(precisions * second))
    if name == "tied":
        return float(np.sum(precisions[0] * second))
    diagonals = np.diagonal(precisions, axis1=1, axis2=2)
    return float(np.sum(diagonals * second) if name == "diag" else np.sum(diagonals[:, 0] * second))


def entropy(parameters: MixtureParameters, log_likelihood: float, moments: Moments) -> float:
    """Return −Σ r·log r in nats: how undecided the assignments are, zero where every row is certain.

    Uses the identity Σ log Σ_k exp L_ik − Σ r·L (nothing further is summed in the pass).
    """
    return max(log_likelihood - expected_log_joint(parameters, moments), 0.0)


def sure_gain(current: MixtureParameters, following: MixtureParameters, moments: Moments) -> float:
    """Return a lower bound, in nats, on the log-likelihood gained by going from `current` to `following`.

    ⟨W′ − W, S⟩, EM's inequality (Dempster, Laird & Rubin 1977, theorem 1): `moments` are those at `current`.
    """
    return expected_log_joint(following, moments) - expected_log_joint(current, moments)


def effective_rows(mass: float, squared_mass: float, weight_type: WeightType) -> float:
    """Return the number of rows that criteria count: Σw, or (Σw)²/Σw² for importance weights (Kish 1965)."""
    return mass if weight_type == "frequency" else mass**2 / squared_mass


def aic(log_likelihood: float, n_parameters: int) -> float:
    """Return −2·log L + 2·P (Akaike 1974)."""
    return -2.0 * log_likelihood + 2.0 * n_parameters


def bic(log_likelihood: float, n_parameters: int, n_rows: float) -> float:
    """Return −2·log L + P·log N (Schwarz 1978)."""
    return -2.0 * log_likelihood + n_parameters * float(np.log(n_rows))


def icl(log_likelihood: float, n_parameters: int, n_rows: float, assignment_entropy: float) -> float:
    """Return BIC + 2·entropy, with the soft entropy −Σ r·log r (Biernacki, Celeux & Govaert 2000)."""
    return bic(log_likelihood, n_parameters, n_rows) + 2.0 * assignment_entropy


def remaining_gain(trace: tuple[float, ...]) -> float:
    """Return Aitken's estimate of what plain EM would still gain, in the trace's units; infinite when unknown.

    With increments δ, δ′ and rate a = δ′/δ it is δ′·a/(1 − a) (Böhning et al. 1994).
    """
    if len(trace) < 3:
        return float("inf")
    before, last = trace[-2] - trace[-3], trace[-1] - trace[-2]
    if last <= 0:
        return 0.0
    rate = last / before if before > 0 else 1.0
    return last * rate / (1.0 - rate) if rate < 1.0 else float("inf")
