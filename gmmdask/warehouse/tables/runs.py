"""What was run on which files, and what readers are shown of it."""

from __future__ import annotations

from gmmdask.warehouse.schema import Table
from gmmdask.warehouse.tables.columns import (
    RUN_ID,
    SEGMENTATION,
    date_column,
    integer_column,
    json_column,
    number_column,
    one_of,
    text_column,
    time_column,
)

LABEL_KINDS = ("night", "repeat", "rescore")
"""Kinds of publication that bring labels: their rows name a run."""

CHAMPION_CHANGES = ("promote", "rollback")
"""Kinds of publication by which a person puts a model in force."""

CHAMPION_KINDS = ("night", *CHAMPION_CHANGES)
"""Kinds of publication that say which model is in force afterwards."""

KINDS = (*LABEL_KINDS, *CHAMPION_CHANGES)
"""All kinds of publication."""

RUNS = Table(
    name="runs",
    meaning="One row per run: what it did, to how much, with what.",
    key=("run_id",),
    columns=(
        RUN_ID,
        text_column("run_key", "hash of everything that determines the run's result; run_id is its beginning"),
        SEGMENTATION,
        date_column("dt", "the run's date t; of a rescore, the last of its dates"),
        text_column("kind", "night, repeat, rescore, promote or rollback"),
        text_column("status", "done, or alert when something in it wants attention"),
        text_column("model_id", "the model that gave the labels"),
        text_column("challenger_id", "model trained in this run; NULL when none was", nullable=True),
        text_column("verdict", "keep, warm-start or refit; NULL where drift was not judged", nullable=True),
        text_column("action", "what was done: keep, first, warm-start or refit"),
        text_column("reason", "why, in words", nullable=True),
        number_column(
            "champion_score", "mean log-likelihood of held-out rows at the champion", "nats per row", nullable=True
        ),
        number_column("challenger_score", "the same at the challenger", "nats per row", nullable=True),
        time_column("started_at", "when the run began"),
        time_column("finished_at", "when its results were complete, before they were published"),
        integer_column("rows_total", "rows of the dates that were published", "rows"),
        integer_column("rows_ok", "of these, rows with a segment", "rows"),
        integer_column("rows_missing", "of these, rows with status missing", "rows"),
        integer_column("rows_unseen", "of these, rows with status unseen", "rows"),
        integer_column("rows_invalid", "of these, rows with status invalid", "rows"),
        integer_column("rows_anomalous", "rows flagged as anomalies; NULL without a threshold", "rows", nullable=True),
        number_column(
            "anomaly_threshold", "log density below which a row is an anomaly; NULL without one", "nats", nullable=True
        ),
        integer_column("training_rows", "rows trained on; NULL without training", "rows", nullable=True),
        json_column(
            "warnings", "array of sentences: what to know of the columns; NULL without training", nullable=True
        ),
        integer_column("passes", "reads of all training data", "passes"),
        json_column("step_seconds", "seconds by step", nullable=True),
        text_column("settings_hash", "hash of the settings that can change a result"),
        json_column("settings", "these settings, without credentials", nullable=True),
        text_column("numeric_fingerprint", "kind of machine: results are equal to the bit where it is"),
        json_column("versions", "version of gmmdask and the libraries it computes with"),
        text_column(
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

LINEAGE = Table(
    name="lineage",
    meaning="One row per run, purpose and partition: exactly which files a result came from.",
    key=("run_id", "purpose", "partition_name"),
    columns=(
        RUN_ID,
        text_column("purpose", "train or score"),
        text_column("partition_name", "path of the partition relative to the lake"),
        text_column("fingerprint", "etag of the file, else its size and modification time"),
        integer_column("rows", "rows read from it", "rows"),
        date_column("dt", "date of the partition; NULL where a lake has none", nullable=True),
    ),
    checks=(one_of("purpose", ("train", "score")),),
)

PUBLICATIONS = Table(
    name="publications",
    meaning="One row per date and publication, only ever appended: what the views show follows from these rows alone.",
    key=("publication_id",),
    columns=(
        integer_column("publication_id", "counts up from 1; a greater one is later"),
        SEGMENTATION,
        text_column("kind", "night, repeat or rescore (labels of a date), promote or rollback (a change of champion)"),
        date_column(
            "dt", "the date that is published or, for promote and rollback, from which on the champion is in force"
        ),
        text_column(
            "run_id",
            "the run whose rows are published; promote and rollback have one only to describe segments",
            nullable=True,
        ),
        text_column("model_id", "the model concerned: that of the labels, or the new champion"),
        text_column(
            "champion_id",
            "the model in force from now on; NULL for repeat and rescore, which change none",
            nullable=True,
        ),
        time_column("published_at", "when the row was written"),
    ),
    checks=(
        one_of("kind", KINDS),
        f"run_id IS NOT NULL OR NOT ({one_of('kind', LABEL_KINDS)})",
        f"(champion_id IS NOT NULL) = ({one_of('kind', CHAMPION_KINDS)})",
    ),
)
