"""What a run found: the rows' segments, what the segments are and look like, and the rows that lie farthest outside."""

from __future__ import annotations

from gmmdask.warehouse.schema import Column, Table
from gmmdask.warehouse.tables.columns import (
    RUN_ID,
    SEGMENTATION,
    date_column,
    flag_column,
    integer_column,
    json_column,
    number_column,
    one_of,
    text_column,
)

STATUSES = ("ok", "missing", "unseen", "invalid")

ASSIGNMENTS = Table(
    name="assignments",
    meaning="One row per entity, date and run: the segment it was given. Read it through the view current_assignments.",
    key=("segmentation", "dt", "id", "run_id"),
    indexed=False,
    columns=(
        SEGMENTATION,
        date_column("dt", "date of the partition that holds the entity"),
        text_column("id", "the entity's identifier, unique within a date, as text"),
        RUN_ID,
        integer_column("segment_id", "stable id of the most probable segment; NULL unless status is ok", nullable=True),
        integer_column(
            "component", "position of that segment in the model, from 0; NULL unless status is ok", nullable=True
        ),
        number_column(
            "probability", "posterior probability of that segment; NULL unless status is ok", "0 to 1", nullable=True
        ),
        Column(
            name="probabilities",
            type="DOUBLE[]",
            meaning="posterior probability of every segment, the first at segments.position 0; NULL unless status is ok",
            unit="0 to 1",
            nullable=True,
        ),
        number_column(
            "log_density",
            "log of the mixture's density at the row, in original units; NULL unless status is ok",
            "nats",
            nullable=True,
        ),
        flag_column(
            "is_anomaly", "whether log_density is below the model's threshold; NULL unless status is ok", nullable=True
        ),
        text_column(
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
        integer_column("segment_id", "stable id of the segment: kept through retraining and never given to another"),
        text_column(
            "name", "name given by an analyst, carried from run to run; NULL until there is one", nullable=True
        ),
        integer_column("position", "its place in assignments.probabilities, from 0; equals assignments.component"),
        text_column("model_id", "the model the segment belongs to"),
        integer_column("size", "rows of the run that were given this segment", "rows"),
        number_column("share", "size over the rows of the run with status ok", "0 to 1"),
        number_column("weight", "mixing weight of the component in the model", "0 to 1"),
        integer_column("certain_rows", "rows of this segment with probability of at least 0.9", "rows", nullable=True),
        number_column(
            "mean_probability", "mean probability of its rows; NULL when it has none", "0 to 1", nullable=True
        ),
        number_column("mean_log_density", "mean log density of its rows; NULL when it has none", "nats", nullable=True),
        integer_column("anomalies", "rows of this segment that are flagged as anomalies", "rows", nullable=True),
        text_column(
            "origin", "how the id came to this model: kept, born, split or merged; NULL in a first model", nullable=True
        ),
        json_column("predecessors", "array of the ids it descends from; NULL where there are none", nullable=True),
        number_column(
            "overlap", "Jaccard overlap with its predecessor; NULL where there is none", "0 to 1", nullable=True
        ),
    ),
)

SEGMENT_PROFILES = Table(
    name="segment_profiles",
    meaning="One row per run, segment, feature and statistic: what the segments look like in original units.",
    key=("run_id", "segment_id", "feature", "category", "statistic"),
    indexed=False,
    columns=(
        RUN_ID,
        integer_column("segment_id", "the segment; NULL for all scored rows together", nullable=True),
        text_column("feature", "column of the lake, clustered or only described"),
        text_column("category", "value of a categorical column; NULL for numeric ones", nullable=True),
        text_column(
            "statistic",
            "what is measured: mean, sd, min, max, quantile_0.05, count, share, missing (rows that were filled), ...",
        ),
        number_column("value", "the measurement", "see unit"),
        text_column("unit", "rows, share (0 to 1), or feature: the unit of the column itself"),
    ),
)

OUTLYING_ROWS = Table(
    name="outlying_rows",
    meaning="The rows of a run that lie farthest outside, at most 20, as they stood in the lake when they were scored.",
    key=("run_id", "dt", "id"),
    indexed=False,
    columns=(
        RUN_ID,
        date_column("dt", "date of the partition that holds the row"),
        text_column("id", "the row's identifier, as text"),
        integer_column("place", "1 for the row of lowest log density, 2 for the next, ..."),
        integer_column("segment_id", "its most probable segment"),
        number_column("log_density", "log of the mixture's density at the row, in original units", "nats"),
        json_column(
            "row_values", "object of its values by column, clustered and described ones; null where it has none"
        ),
    ),
)
