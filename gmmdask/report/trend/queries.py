"""The questions that the trend page asks of the warehouse, as SQL. Every one is about a single segmentation."""

from __future__ import annotations

from gmmdask.warehouse.tables import LABEL_KINDS, one_of
from gmmdask.warehouse.views import LATEST_LABELS

_LABELS = one_of("kind", LABEL_KINDS)

# A run of a single date has its numbers in the small tables. Those of a run of several dates are of all dates together.
SPREAD = f"""SELECT run_id FROM publications
    WHERE segmentation = $segmentation AND {_LABELS} GROUP BY run_id HAVING count(*) > 1"""  # noqa: S608

DAYS = f"""SELECT p.dt, p.run_id, p.model_id, p.run_id IN ({SPREAD}) AS is_spread,
      r.rows_total, r.rows_ok, r.rows_anomalous, r.settings
    FROM publications AS p JOIN runs AS r ON r.run_id = p.run_id
    WHERE p.segmentation = $segmentation AND p.publication_id IN ({LATEST_LABELS}) ORDER BY p.dt"""  # noqa: S608

SIZES = f"""SELECT p.dt, s.segment_id, s.size, s.mean_log_density
    FROM publications AS p JOIN segments AS s ON s.run_id = p.run_id
    WHERE p.segmentation = $segmentation AND p.publication_id IN ({LATEST_LABELS}) AND p.run_id NOT IN ({SPREAD})
    ORDER BY p.dt, s.segment_id"""  # noqa: S608

SPREAD_SIZES = f"""SELECT a.dt, a.segment_id, count(*) AS size, avg(a.log_density) AS mean_log_density,
      count(*) FILTER (WHERE a.is_anomaly) AS anomalies
    FROM assignments AS a
    JOIN publications AS p ON p.segmentation = a.segmentation AND p.dt = a.dt AND p.run_id = a.run_id
    WHERE a.segmentation = $segmentation AND p.publication_id IN ({LATEST_LABELS}) AND a.run_id IN ({SPREAD})
    GROUP BY a.dt, a.segment_id ORDER BY a.dt, a.segment_id"""  # noqa: S608

LIVES = """SELECT s.model_id, s.segment_id, s.name, s.origin, s.predecessors
    FROM segments AS s JOIN publications AS p ON p.run_id = s.run_id
    WHERE p.segmentation = $segmentation ORDER BY p.publication_id"""

NIGHTS = """SELECT p.publication_id, p.dt, p.kind, p.champion_id, r.run_id, r.action, r.status, r.verdict, r.reason,
      coalesce(r.challenger_id, CASE WHEN r.action <> 'keep' THEN r.model_id END) AS challenger_id,
      r.champion_score, r.challenger_score, extract(epoch FROM r.finished_at) - extract(epoch FROM r.started_at) AS seconds
    FROM publications AS p JOIN runs AS r ON r.run_id = p.run_id AND r.dt = p.dt
    WHERE p.segmentation = $segmentation AND p.kind IN ('night', 'repeat') ORDER BY p.publication_id"""

DRIFT = """SELECT d.run_id, d.dt, d.scope, d.statistic, d.segment_id, d.part, d.feature, d.category,
      d.value, d.unit, d.reference, d.threshold, d.is_alarm, d.reason
    FROM drift AS d JOIN publications AS p ON p.run_id = d.run_id AND p.dt = d.dt
    WHERE p.segmentation = $segmentation AND p.kind IN ('night', 'repeat')
      AND (d.is_alarm OR (d.statistic = 'gain' AND d.segment_id IS NULL AND d.part IS NULL AND d.feature IS NULL))
    ORDER BY d.dt, d.scope, d.statistic, d.feature, d.segment_id, d.part, d.category"""

REIGNS = """SELECT p.champion_id, p.kind, p.dt, p.published_at, r.reason
    FROM publications AS p LEFT JOIN runs AS r ON r.run_id = p.run_id
    WHERE p.segmentation = $segmentation AND p.champion_id IS NOT NULL ORDER BY p.publication_id"""
