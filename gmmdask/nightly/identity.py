"""Segment 3 stays segment 3: a new model's components get the ids of the champion's that they continue.

The mathematics of matching is `gmmdask.mixture.alignment`'s; here both models look at the same raw rows.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np

from gmmdask.errors import GmmdaskError, StorageError
from gmmdask.mixture.alignment import Alignment, align
from gmmdask.nightly.model import bundle_uri, load_night_model
from gmmdask.nightly.plan import warehouse_of
from gmmdask.registry import list_bundles
from gmmdask.scoring import SegmentModel, score_leaf
from gmmdask.settings import Settings
from gmmdask.training.reservoir import Reservoir

GREATEST = """SELECT coalesce(max(s.segment_id), 0) AS greatest FROM segments AS s
    JOIN runs AS r ON r.run_id = s.run_id WHERE r.segmentation = $segmentation"""

_GONE = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
"""Causes of an error of storage that are about what is there, not about reaching it."""


def continue_ids(
    champion: SegmentModel, challenger: SegmentModel, rows: Reservoir, greatest_id: int
) -> tuple[SegmentModel, Alignment]:
    """Return a challenger whose components have the champion's ids where they continue its components, else fresh ones.

    They are put in the order of their ids, so that pages and tables list segments as they did before.

    Parameters
    ----------
    champion, challenger : SegmentModel
        Of the same features; the ids that the challenger has are forgotten.
    rows : Reservoir
        Raw rows of the window; those that both models can score count.
    greatest_id : int
        The greatest id that was ever given.

    Raises
    ------
    EmptyDataError
        No row of positive weight can be scored by both.
    """
    sample = rows.ordered()
    old, new = (score_leaf(sample.values, model) for model in (champion, challenger))
    both = old.scored & new.scored
    found = align(
        np.ascontiguousarray(old.responsibilities[:, both[old.scored]]),
        np.ascontiguousarray(new.responsibilities[:, both[new.scored]]),
        champion.segment_ids,
        greatest_id=greatest_id,
        weights=sample.weights[both],
    )
    order = np.argsort(found.segment_ids).tolist()
    found = found.permuted(order)
    parameters = challenger.parameters.permuted(order)
    return replace(challenger, parameters=parameters, segment_ids=found.segment_ids), found


def fresh_ids(challenger: SegmentModel, greatest_id: int) -> SegmentModel:
    """Return a challenger none of whose ids was ever given: its rows cannot be compared with a champion's."""
    return replace(challenger, segment_ids=tuple(range(greatest_id + 1, greatest_id + 1 + challenger.n_segments)))


def greatest_id(settings: Settings, run_id: str) -> int:
    """Return the greatest id that another published run, or a model of another run, gave a segment; 0 before the first night.

    Models that were never promoted count: they may be, by hand, and their ids must mean nothing else then. Those of the
    run itself do not: a run that was killed and is run again gives the ids that it gave before.

    Raises
    ------
    StorageError, WarehouseError
        Registry or warehouse cannot be reached.
    """
    warehouse, name = warehouse_of(settings), settings.segmentation.name
    if warehouse.champion_before(name, date.max) is None:
        return 0
    published = warehouse.query(GREATEST, {"segmentation": name}).to_pylist()
    found = [int(row["greatest"]) for row in published]
    options = settings.registry.storage_options
    for model_id in list_bundles(bundle_uri(settings, "").rstrip("/"), storage_options=options):
        found.extend(_ids_of(settings, model_id, run_id))
    return max(found, default=0)


def _ids_of(settings: Settings, model_id: str, run_id: str) -> tuple[int, ...]:
    """Return the ids that a model of another run gave; none where it is damaged or gone, for then it cannot be promoted."""
    try:
        model = load_night_model(settings, model_id)
    except StorageError as error:
        if isinstance(error.__cause__, _GONE):
            return ()
        raise  # a registry that does not answer now may do so when the model is promoted
    except GmmdaskError:
        return ()
    return model.segments.segment_ids if model.provenance["run_id"] != run_id else ()
