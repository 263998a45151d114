"""The questions that a report asks of the warehouse, as SQL. Every one is about a single run or segmentation."""

from __future__ import annotations

from gmmdask.report.findings import CORE, NARROW_MARGIN

LATEST = """SELECT p.run_id FROM publications AS p JOIN runs AS r ON r.run_id = p.run_id
    WHERE p.segmentation = $segmentation ORDER BY p.publication_id DESC LIMIT 1"""

RUN = "SELECT * FROM runs WHERE run_id = $run_id"

PUBLISHED = """SELECT min(dt) AS first, max(dt) AS last, count(DISTINCT dt) AS dates, max(published_at) AS at
    FROM publications WHERE run_id = $run_id"""

ORIGIN = """SELECT run_id, dt, training_rows, warnings FROM runs
    WHERE segmentation = $segmentation AND training_rows IS NOT NULL AND (model_id = $model_id OR challenger_id = $model_id)
    ORDER BY finished_at LIMIT 1"""

BEFORE = """SELECT champion_id FROM publications
    WHERE segmentation = $segmentation AND champion_id IS NOT NULL
      AND publication_id < (SELECT min(publication_id) FROM publications WHERE run_id = $run_id)
    ORDER BY publication_id DESC LIMIT 1"""

NAMES = """SELECT s.segment_id, arg_max(s.name, p.publication_id) AS name
    FROM segments AS s JOIN publications AS p ON p.run_id = s.run_id
    WHERE p.segmentation = $segmentation AND s.name IS NOT NULL GROUP BY s.segment_id ORDER BY s.segment_id"""

SEGMENTS = """SELECT segment_id, position, name, size, share, weight, anomalies FROM segments
    WHERE run_id = $run_id ORDER BY position"""

SHARES = """SELECT s.segment_id, sum(s.size) / nullif(sum(sum(s.size)) OVER (), 0) AS share
    FROM segments AS s JOIN runs AS r ON r.run_id = s.run_id
    WHERE r.segmentation = $segmentation AND r.model_id = $model_id AND r.dt < $dt AND r.kind = 'night'
    GROUP BY s.segment_id ORDER BY s.segment_id"""

PROFILES = """SELECT segment_id, feature, category, statistic, value, unit FROM segment_profiles
    WHERE run_id = $run_id ORDER BY feature, category, statistic, segment_id"""

GRID = "SELECT * FROM grid WHERE run_id = $run_id"

DRIFT = """SELECT * FROM drift WHERE run_id = $run_id
    ORDER BY dt, scope, statistic, segment_id, part, feature, category"""

LINEAGE = """SELECT purpose, count(*) AS partitions, sum(rows)::BIGINT AS rows, min(dt) AS first, max(dt) AS last
    FROM lineage WHERE run_id = $run_id GROUP BY purpose ORDER BY purpose"""

PARTITIONS = """SELECT purpose, partition_name, rows, fingerprint FROM lineage
    WHERE run_id = $run_id ORDER BY purpose, dt, partition_name LIMIT $limit"""

SCORED = "FROM assignments WHERE segmentation = $segmentation AND run_id = $run_id AND status = 'ok'"

RANKED = f"""WITH ranked AS (
    SELECT component, probability, probabilities, coalesce(list_reverse_sort(probabilities)[2], 0.0) AS second {SCORED})"""

CERTAINTY = f"""{RANKED}
    SELECT component, count(*) AS rows, count(*) FILTER (WHERE probability >= {CORE}) AS core,
      count(*) FILTER (WHERE probability - second < {NARROW_MARGIN}) AS boundary
    FROM ranked GROUP BY component ORDER BY component"""  # noqa: S608

NEIGHBOURS = f"""{RANKED}
    SELECT component, list_position(probabilities, second) - 1 AS other, count(*) AS rows
    FROM ranked WHERE probability - second < {NARROW_MARGIN}
    GROUP BY ALL ORDER BY component, rows DESC, other"""  # noqa: S608

DENSITY_RANGE = f"""SELECT min(log_density) AS lowest, max(log_density) AS highest,
    quantile_cont(log_density, 0.002) AS low {SCORED}"""

DENSITIES = f"""SELECT CAST(least(greatest(floor((log_density - $low) / $width), 0), $last) AS BIGINT) AS bin,
    count(*) AS rows {SCORED} GROUP BY bin ORDER BY bin"""

STRANGEST = """SELECT dt, id, segment_id, log_density, row_values FROM outlying_rows
    WHERE run_id = $run_id ORDER BY place LIMIT $limit"""
