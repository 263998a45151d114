"""The tables of a warehouse, as data: every column with its type, unit and meaning.

This is their one definition. `CREATE TABLE` statements and docs/tables.md are generated from it. What readers are shown
of the tables is in `gmmdask.warehouse.views`; no statement that reads or changes a row lives here.
"""

from __future__ import annotations

from gmmdask.warehouse.schema import Column, Table

LABEL_KINDS = ("night", "repeat", "rescore")
"""Kinds of publication that bring labels: their rows name a run."""

CHAMPION_KINDS = ("night", "promote", "rollback")
"""Kinds of publication that say which model is in force afterwards."""

KINDS = ("night", "repeat", "rescore", "promote", "rollback")
"""All kinds of publication."""


def _text(name: str, meaning: str, *, nullable: bool = False) -> Column:
    return Column(name=name, type="VARCHAR", meaning=meaning, nullable=nullable)


def _integer(name: str, meaning: str, unit: str = "", *, nullable: bool = False) -> Column:
    return Column(name=name, type="BIGINT", meaning=meaning, unit=unit, nullable=nullable)


def _number(name: str, meaning: str, unit: str = "", *, nullable: bool = False) -> Column:
    return Column(name=name, type="DOUBLE", meaning=meaning, unit=unit, nullable=nullable)


def _flag(name: str, meaning: str, *, nullable: bool = False) -> Column:
    return Column(name=name, type="BOOLEAN", meaning=meaning, nullable=nullable)


def _date(name: str, meaning: str, *, nullable: bool = False) -> Column:
    return Column(name=name, type="DATE", meaning=meaning, nullable=nullable)


def _time(name: str, meaning: str) -> Column:
    return Column(name=name, type="TIMESTAMP WITH TIME ZONE", meaning=meaning)


def _json(name: str, meaning: str, *, nullable: bool = False) -> Column:
    return Column(name=name, type="JSON", meaning=meaning, nullable=nullable)


def one_of(column: str, values: tuple[str, ...]) -> str:
    """Return the condition that a column holds one of these constants, as SQL."""
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


RUN_ID = _text("run_id", "the run that wrote the row")
SEGMENTATION = _text("segmentation", "name of the segmentation, from its settings file")
STATUSES = ("ok", "missing", "unseen", "invalid")
FATES = ("kept", "split", "merged", "died")

ASSIGNMENTS = Table(
    name="assignments",
    meaning="One row per entity, date and run: the segment it was given. Read it through the view current_assignments.",
    key=("segmentation", "dt", "id", "run_id"),
    indexed=False,
    columns=(
        SEGMENTATION,
        _date("dt", "date of the partition that holds the entity"),
        _text("id", "the entity's identifier, unique within a date, as text"),
        RUN_ID,
        _integer("segment_id", "stable id of the most probable segment; NULL unless status is ok", nullable=True),
        _integer("component", "position of that segment in the model, from 0; NULL unless status is ok", nullable=True),
        _number(
            "probability", "posterior probability of that segment; NULL unless status is ok", "0 to 1", nullable=True
        ),
        Column(
            name="probabilities",
            type="DOUBLE[]",
            meaning="posterior probability of every segment, the first at segments.position 0; NULL unless status is ok",
            unit="0 to 1",
            nullable=True,
        ),
        _number(
            "log_density",
            "log of the mixture's density at the row, in original units; NULL unless status is ok",
            "nats",
            nullable=True,
        ),
        _flag(
            "is_anomaly", "whether log_density is below the model's threshold; NULL unless status is ok", nullable=True
        ),
        _text(
            "status",
            "ok, or why the row has no segment: missing (a missing value under the policy drop), "
            "unseen (a category the model never met), invalid (infinite or of the wrong kind)",
        ),
    ),
    checks=(one_of("status", STATUSES), "(status = 'ok') = (segment_id IS NOT NULL)"),
)

SEGMENTS = Table(
    name="segments",
    meaning="One row per segment and run: what the run found in it. Read it through the view current_segments.",
    key=("run_id", "segment_id"),
    columns=(
        RUN_ID,
        _integer("segment_id", "stable id of the segment: kept through retraining and never given to another"),
        _text("name", "name given by an analyst, carried from run to run; NULL until there is one", nullable=True),
        _integer("position", "its place in assignments.probabilities, from 0; equals assignments.component"),
        _text("model_id", "the model the segment belongs to"),
        _integer("size", "rows of the run that were given this segment", "rows"),
        _number("share", "size over the rows of the run with status ok", "0 to 1"),
        _number("weight", "mixing weight of the component in the model", "0 to 1"),
        _integer("certain_rows", "rows of this segment with probability of at least 0.9", "rows", nullable=True),
        _number("mean_probability", "mean probability of its rows; NULL when it has none", "0 to 1", nullable=True),
        _number("mean_log_density", "mean log density of its rows; NULL when it has none", "nats", nullable=True),
        _integer("anomalies", "rows of this segment that are flagged as anomalies", "rows", nullable=True),
        _text(
            "origin", "how the id came to this model: kept, born, split or merged; NULL in a first model", nullable=True
        ),
        _json("predecessors", "array of the ids it descends from; NULL where there are none", nullable=True),
        _number("overlap", "Jaccard overlap with its predecessor; NULL where there is none", "0 to 1", nullable=True),
    ),
)

SEGMENT_PROFILES = Table(
    name="segment_profiles",
    meaning="One row per run, segment, feature and statistic: what the segments look like in original units.",
    key=("run_id", "segment_id", "feature", "category", "statistic"),
    indexed=False,
    columns=(
        RUN_ID,
        _integer("segment_id", "the segment; NULL for all scored rows together", nullable=True),
        _text("feature", "column of the lake, clustered or only described"),
        _text("category", "value of a categorical column; NULL for numeric ones", nullable=True),
        _text(
            "statistic",
            "what is measured: mean, sd, min, max, quantile_0.05, count, share, missing (rows that were filled), ...",
        ),
        _number("value", "the measurement", "see unit"),
        _text("unit", "rows, share (0 to 1), or feature: the unit of the column itself"),
    ),
)

GRID = Table(
    name="grid",
    meaning="One row per candidate of a training run: every covariance structure and number of components that was tried.",
    key=("run_id", "covariance_type", "n_components"),
    columns=(
        RUN_ID,
        _text("covariance_type", "spherical, diag, tied or full"),
        _integer("n_components", "number of components", "components"),
        _integer("n_parameters", "free parameters of the model", "parameters"),
        _number("log_likelihood", "total over the training rows; NULL when never evaluated", "nats", nullable=True),
        _number(
            "aic", "Akaike's criterion, smaller is better; NULL when never evaluated", "nats times 2", nullable=True
        ),
        _number(
            "bic", "the Bayesian criterion, smaller is better; NULL when never evaluated", "nats times 2", nullable=True
        ),
        _number("icl", "bic plus twice the soft entropy; NULL when never evaluated", "nats times 2", nullable=True),
        _number("holdout_score", "mean log-likelihood of held-out sample rows", "nats per row", nullable=True),
        _text("status", "polished, evaluated or disqualified"),
        _text("reason", "why it was dropped or disqualified; NULL where nothing is to be said", nullable=True),
        _number(
            "remaining_gain",
            "what further iterations would still add, by Aitken's estimate",
            "nats per row",
            nullable=True,
        ),
        _flag("is_best", "whether the criterion chose it"),
    ),
)

DRIFT = Table(
    name="drift",
    meaning="One row per run and measurement of change: the statistic behind the verdict, its parts, and the features one by one.",
    key=("run_id", "dt", "scope", "statistic", "segment_id", "part", "feature", "category"),
    indexed=False,
    columns=(
        RUN_ID,
        _date("dt", "the night that was judged"),
        _text("scope", "rows that were measured: night, or window (window_start to dt)"),
        _date("window_start", "first date of the rows measured"),
        _integer("rows", "rows measured", "rows"),
        _text("statistic", "gain, psi, ks, wasserstein, null_rate, category_rate, row_count, unit_change, ..."),
        _integer("segment_id", "segment whose part of the statistic this is; NULL for the whole", nullable=True),
        _text("part", "weight, mean or covariance, for a part of the gain; NULL for the whole", nullable=True),
        _text("feature", "feature measured; NULL for statistics of the whole model", nullable=True),
        _text("category", "category measured; NULL otherwise", nullable=True),
        _number("value", "the statistic; NULL when there was not enough data", "see unit", nullable=True),
        _text("unit", "nats per row, share, rows, ratio, or sd (standard deviations of the feature)"),
        _number(
            "reference",
            "what the statistic is expected to be without change; NULL where unknown",
            "see unit",
            nullable=True,
        ),
        _number("threshold", "value from which on it counts; NULL where nothing is judged", "see unit", nullable=True),
        _number(
            "p_value", "probability of such a value without change, where a test gives one", "0 to 1", nullable=True
        ),
        _flag("is_alarm", "whether it counts, after correction for the number of tests"),
        _text("verdict", "keep, warm-start or refit, on the row that decided; NULL on others", nullable=True),
        _text("reason", "the verdict or alarm in words; NULL where nothing is to be said", nullable=True),
    ),
)

RUNS = Table(
    name="runs",
    meaning="One row per run: what it did, to how much, with what.",
    key=("run_id",),
    columns=(
        RUN_ID,
        _text("run_key", "hash of everything that determines the run's result; run_id is its beginning"),
        SEGMENTATION,
        _date("dt", "the run's date t; of a rescore, the last of its dates"),
        _text("kind", "night, repeat, rescore, promote or rollback"),
        _text("status", "done, or alert when something in it wants attention"),
        _text("model_id", "the model that gave the labels"),
        _text("challenger_id", "model trained in this run; NULL when none was", nullable=True),
        _text("verdict", "keep, warm-start or refit; NULL where drift was not judged", nullable=True),
        _text("action", "what was done: keep, first, warm-start or refit"),
        _text("reason", "why, in words", nullable=True),
        _number(
            "champion_score", "mean log-likelihood of held-out rows at the champion", "nats per row", nullable=True
        ),
        _number("challenger_score", "the same at the challenger", "nats per row", nullable=True),
        _time("started_at", "when the run began"),
        _time("finished_at", "when its results were complete, before they were published"),
        _integer("rows_total", "rows of the dates that were published", "rows"),
        _integer("rows_ok", "of these, rows with a segment", "rows"),
        _integer("rows_missing", "of these, rows with status missing", "rows"),
        _integer("rows_unseen", "of these, rows with status unseen", "rows"),
        _integer("rows_invalid", "of these, rows with status invalid", "rows"),
        _integer("rows_anomalous", "rows flagged as anomalies; NULL without a threshold", "rows", nullable=True),
        _number(
            "anomaly_threshold", "log density below which a row is an anomaly; NULL without one", "nats", nullable=True
        ),
        _integer("training_rows", "rows trained on; NULL without training", "rows", nullable=True),
        _json("warnings", "array of sentences: what to know of the columns; NULL without training", nullable=True),
        _integer("passes", "reads of all training data", "passes"),
        _json("step_seconds", "seconds by step", nullable=True),
        _text("settings_hash", "hash of the settings that can change a result"),
        _json("settings", "these settings, without credentials", nullable=True),
        _text("numeric_fingerprint", "kind of machine: results are equal to the bit where it is"),
        _json("versions", "version of gmmdask and the libraries it computes with"),
        _text(
            "report_uri",
            "where the report lies, as soon as it is written; NULL where reports are turned off",
            nullable=True,
        ),
    ),
    checks=(
        one_of("kind", KINDS),
        "rows_total = rows_ok + rows_missing + rows_unseen + rows_invalid",
    ),
)

OUTLYING_ROWS = Table(
    name="outlying_rows",
    meaning="The rows of a run that lie farthest outside, at most 20, as they stood in the lake when they were scored.",
    key=("run_id", "dt", "id"),
    indexed=False,
    columns=(
        RUN_ID,
        _date("dt", "date of the partition that holds the row"),
        _text("id", "the row's identifier, as text"),
        _integer("place", "1 for the row of lowest log density, 2 for the next, ..."),
        _integer("segment_id", "its most probable segment"),
        _number("log_density", "log of the mixture's density at the row, in original units", "nats"),
        _json("row_values", "object of its values by column, clustered and described ones; null where it has none"),
    ),
)

SUCCESSIONS = Table(
    name="successions",
    meaning="One row per run that brought a new model, segment of the model before and segment that its rows went to. "
    "The same rows are compared under both models; pairs that share less than 1 % of either are left out.",
    key=("run_id", "segment_id", "successor_id"),
    indexed=False,
    columns=(
        RUN_ID,
        _integer("segment_id", "a segment of the model before"),
        _text(
            "fate",
            "what became of it: kept (the new model has its id), or its id ended: split, merged, or died (neither)",
        ),
        _integer("successor_id", "a segment of the new model; NULL where none took any row", nullable=True),
        _number(
            "departed", "share of the former's rows that the latter has; NULL without one", "0 to 1", nullable=True
        ),
        _number(
            "arrived", "share of the latter's rows that were the former's; NULL without one", "0 to 1", nullable=True
        ),
    ),
    checks=(one_of("fate", FATES),),
)

LINEAGE = Table(
    name="lineage",
    meaning="One row per run, purpose and partition: exactly which files a result came from.",
    key=("run_id", "purpose", "partition_name"),
    columns=(
        RUN_ID,
        _text("purpose", "train or score"),
        _text("partition_name", "path of the partition relative to the lake"),
        _text("fingerprint", "etag of the file, else its size and modification time"),
        _integer("rows", "rows read from it", "rows"),
        _date("dt", "date of the partition; NULL where a lake has none", nullable=True),
    ),
    checks=(one_of("purpose", ("train", "score")),),
)

PUBLICATIONS = Table(
    name="publications",
    meaning="One row per date and publication, only ever appended: what the views show follows from these rows alone.",
    key=("publication_id",),
    columns=(
        _integer("publication_id", "counts up from 1; a greater one is later"),
        SEGMENTATION,
        _text("kind", "night, repeat or rescore (labels of a date), promote or rollback (a change of champion)"),
        _date("dt", "the date that is published or, for promote and rollback, from which on the champion is in force"),
        _text(
            "run_id",
            "the run whose rows are published; promote and rollback have one only to describe segments",
            nullable=True,
        ),
        _text("model_id", "the model concerned: that of the labels, or the new champion"),
        _text(
            "champion_id",
            "the model in force from now on; NULL for repeat and rescore, which change none",
            nullable=True,
        ),
        _time("published_at", "when the row was written"),
    ),
    checks=(
        one_of("kind", KINDS),
        f"run_id IS NOT NULL OR NOT ({one_of('kind', LABEL_KINDS)})",
        f"(champion_id IS NOT NULL) = ({one_of('kind', CHAMPION_KINDS)})",
    ),
)

TABLES = {
    table.name: table
    for table in (
        ASSIGNMENTS,
        SEGMENTS,
        SEGMENT_PROFILES,
        OUTLYING_ROWS,
        SUCCESSIONS,
        GRID,
        DRIFT,
        RUNS,
        LINEAGE,
        PUBLICATIONS,
    )
}
"""All tables by name, in the order in which they are written."""
