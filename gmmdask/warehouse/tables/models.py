"""Where a model comes from: what was tried, what moved, and what became of the segments before."""

from __future__ import annotations

from gmmdask.warehouse.schema import Table
from gmmdask.warehouse.tables.columns import (
    RUN_ID,
    date_column,
    flag_column,
    integer_column,
    number_column,
    one_of,
    text_column,
)

FATES = ("kept", "split", "merged", "died")

SUCCESSIONS = Table(
    name="successions",
    meaning="One row per run that brought a new model, segment of the model before and segment that its rows went to. "
    "The same rows are compared under both models; pairs that share less than 1 % of either are left out.",
    key=("run_id", "segment_id", "successor_id"),
    indexed=False,
    columns=(
        RUN_ID,
        integer_column("segment_id", "a segment of the model before"),
        text_column(
            "fate",
            "what became of it: kept (the new model has its id), or its id ended: split, merged, or died (neither)",
        ),
        integer_column("successor_id", "a segment of the new model; NULL where none took any row", nullable=True),
        number_column(
            "departed", "share of the former's rows that the latter has; NULL without one", "0 to 1", nullable=True
        ),
        number_column(
            "arrived", "share of the latter's rows that were the former's; NULL without one", "0 to 1", nullable=True
        ),
    ),
    checks=(one_of("fate", FATES),),
)

GRID = Table(
    name="grid",
    meaning="One row per candidate of a training run: every covariance structure and number of components that was tried.",
    key=("run_id", "covariance_type", "n_components"),
    columns=(
        RUN_ID,
        text_column("covariance_type", "spherical, diag, tied or full"),
        integer_column("n_components", "number of components", "components"),
        integer_column("n_parameters", "free parameters of the model", "parameters"),
        number_column(
            "log_likelihood", "total over the training rows; NULL when never evaluated", "nats", nullable=True
        ),
        number_column(
            "aic", "Akaike's criterion, smaller is better; NULL when never evaluated", "nats times 2", nullable=True
        ),
        number_column(
            "bic", "the Bayesian criterion, smaller is better; NULL when never evaluated", "nats times 2", nullable=True
        ),
        number_column(
            "icl", "bic plus twice the soft entropy; NULL when never evaluated", "nats times 2", nullable=True
        ),
        number_column("holdout_score", "mean log-likelihood of held-out sample rows", "nats per row", nullable=True),
        text_column("status", "polished, evaluated or disqualified"),
        text_column("reason", "why it was dropped or disqualified; NULL where nothing is to be said", nullable=True),
        number_column(
            "remaining_gain",
            "what further iterations would still add, by Aitken's estimate",
            "nats per row",
            nullable=True,
        ),
        flag_column("is_best", "whether the criterion chose it"),
    ),
)

DRIFT = Table(
    name="drift",
    meaning="One row per run and measurement of change: the statistic behind the verdict, its parts, and the features one by one.",
    key=("run_id", "dt", "scope", "statistic", "segment_id", "part", "feature", "category"),
    indexed=False,
    columns=(
        RUN_ID,
        date_column("dt", "the night that was judged"),
        text_column(
            "scope", "rows that were measured: night, recent (the last three nights), or window; window_start to dt"
        ),
        date_column("window_start", "first date of the rows measured"),
        integer_column("rows", "rows measured", "rows"),
        text_column("statistic", "gain, psi, ks, wasserstein, null_rate, category_rate, row_count, unit_change, ..."),
        integer_column("segment_id", "segment whose part of the statistic this is; NULL for the whole", nullable=True),
        text_column("part", "weight, mean or covariance, for a part of the gain; NULL for the whole", nullable=True),
        text_column("feature", "feature measured; NULL for statistics of the whole model", nullable=True),
        text_column("category", "category measured; NULL otherwise", nullable=True),
        number_column("value", "the statistic; NULL when there was not enough data", "see unit", nullable=True),
        text_column(
            "unit",
            "nats per row (of gains), nats (of the PSI), share, rows, ratio, or sd (standard deviations of the feature)",
        ),
        number_column(
            "reference",
            "what the statistic is expected to be without change; NULL where unknown",
            "see unit",
            nullable=True,
        ),
        number_column(
            "threshold", "value from which on it counts; NULL where nothing is judged", "see unit", nullable=True
        ),
        number_column(
            "p_value", "probability of such a value without change, where a test gives one", "0 to 1", nullable=True
        ),
        flag_column("is_alarm", "whether it counts, after correction for the number of tests"),
        text_column("verdict", "keep, warm-start or refit, on the row that decided; NULL on others", nullable=True),
        text_column("reason", "the verdict or alarm in words; NULL where nothing is to be said", nullable=True),
    ),
)
