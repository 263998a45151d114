"""What readers see: the views, as queries over the publication rows, and the page that explains tables and views.

A run becomes visible through its rows in `publications` alone; the rule is told once, in `INTRODUCTION`. The SQL here
avoids what only one database knows.
"""

from __future__ import annotations

from gmmdask.warehouse.schema import View, document
from gmmdask.warehouse.tables import CHAMPION_CHANGES, LABEL_KINDS, SEGMENTS, TABLES, one_of

LATEST_LABELS = f"""SELECT max(publication_id) FROM publications
    WHERE {one_of("kind", LABEL_KINDS)} GROUP BY segmentation, dt"""  # noqa: S608
"""Query for the publications whose labels are in force: the latest of every segmentation and date."""

CURRENT_ASSIGNMENTS = View(
    name="current_assignments",
    meaning="One row per segmentation, date and entity: the labels of every date as they were last published.",
    query=f"""
SELECT a.segmentation, a.dt, a.id, a.segment_id, s.name AS segment_name, a.component, a.probability, a.probabilities,
  a.log_density, a.is_anomaly, a.status, a.run_id, p.model_id
FROM assignments AS a
JOIN publications AS p ON p.segmentation = a.segmentation AND p.dt = a.dt AND p.run_id = a.run_id
LEFT JOIN segments AS s ON s.run_id = a.run_id AND s.segment_id = a.segment_id
WHERE p.publication_id IN (
    {LATEST_LABELS})
""",  # noqa: S608
)

CHAMPION = View(
    name="champion",
    meaning="One row per segmentation: the model in force, from the latest publication that names one.",
    query="""
SELECT segmentation, champion_id, dt, kind, publication_id, published_at
FROM publications
WHERE publication_id IN (
    SELECT max(publication_id) FROM publications WHERE champion_id IS NOT NULL GROUP BY segmentation)
""",
)

CURRENT_SEGMENTS = View(
    name="current_segments",
    meaning="One row per segmentation and segment of the model in force, as found on the latest date that it labelled.",
    query=f"""
SELECT latest.segmentation, latest.dt, {", ".join(f"s.{column.name}" for column in SEGMENTS.columns)}
FROM (
    SELECT p.segmentation, p.dt, p.run_id,
      row_number() OVER (PARTITION BY p.segmentation ORDER BY p.dt DESC, p.publication_id DESC) AS recency
    FROM publications AS p
    JOIN champion AS c ON c.segmentation = p.segmentation AND c.champion_id = p.model_id
    WHERE EXISTS (SELECT 1 FROM segments AS own WHERE own.run_id = p.run_id)
) AS latest
JOIN segments AS s ON s.run_id = latest.run_id
WHERE latest.recency = 1
""",  # noqa: S608
)

VIEWS = {view.name: view for view in (CURRENT_ASSIGNMENTS, CHAMPION, CURRENT_SEGMENTS)}
"""All views by name, in the order in which they can be created."""

CHAMPION_BEFORE = """SELECT champion_id FROM publications
    WHERE segmentation = $segmentation AND champion_id IS NOT NULL AND dt < $dt
    ORDER BY publication_id DESC LIMIT 1"""
"""Query for the model in force before a date: what a repetition of that date starts from."""

CHOSEN_SINCE = f"""SELECT champion_id FROM publications
    WHERE segmentation = $segmentation AND {one_of("kind", CHAMPION_CHANGES)} AND published_at > $began
    ORDER BY publication_id DESC LIMIT 1"""  # noqa: S608
"""Query for the model that a person put in force since a moment."""

DECIDED_SINCE = """SELECT kind, dt, champion_id FROM publications
    WHERE segmentation = $segmentation AND champion_id IS NOT NULL AND published_at > $began
    ORDER BY publication_id DESC LIMIT 1"""
"""Query for what was last said of the model in force since a moment, by a night or by a person."""

INTRODUCTION = """
# Tables of the warehouse

*Generated from `gmmdask/warehouse/tables/` and `views.py`: change them there and run `python -m gmmdask.warehouse > docs/tables.md`.*

Ask the views `current_assignments`, `current_segments` and `champion`; the tables keep what every run found. A run's rows
become visible all at once, through its rows in `publications`:

- the labels of a date are those of the run in the latest publication of that date that brings labels (night, repeat, rescore);
- the champion is that of the latest publication that names one (night, promote, rollback);
- the champion in force before a date is that of the latest such publication of an earlier date.

"Latest" is always the greatest `publication_id`. Rows of `assignments` that no view shows any more are removed from time to
time; the smaller tables keep their history.

A segment's name stays with its id: naming it (`gmmdask segments name`) changes every run of the segmentation, and a run that
is published later has the names of that moment, also where it was computed before.
"""


def page() -> str:
    """Return docs/tables.md."""
    return document(TABLES.values(), VIEWS.values(), INTRODUCTION)
