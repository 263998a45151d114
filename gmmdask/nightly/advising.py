"""What a night says of its columns after pass 0 and before it fits them."""

from __future__ import annotations

from gmmdask.nightly.preparing import imputed
from gmmdask.preparation.advice import ColumnEvidence, advise, sentences
from gmmdask.settings import Settings
from gmmdask.training.results import Progress
from gmmdask.training.survey import Survey

STAGE = "before fitting"


def column_warnings(survey: Survey, settings: Settings) -> tuple[str, ...]:
    """Return what to know of the columns, one sentence or two a kind, the worst first; often nothing."""
    return sentences(advise(_evidence(survey, settings)))


def tell(warnings: tuple[str, ...], progress: Progress | None) -> None:
    """Tell it while there is time to stop the night."""
    if progress is not None:
        for warning in warnings:
            progress(STAGE, 0, 0, warning)


def _evidence(survey: Survey, settings: Settings) -> ColumnEvidence:
    preparation = settings.preparation
    return ColumnEvidence(
        features=survey.features,
        values=survey.reservoir.values,
        minimum=survey.minimum,
        maximum=survey.maximum,
        missing=survey.missing / survey.n_rows,
        categories=preparation.one_hot,
        imputed=imputed(settings),
        transformed=tuple(name for name in survey.features if preparation.of(name).transform != "none"),
        covariance_types=settings.grid.covariance_types,
    )
