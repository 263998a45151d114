"""From the preparation that the settings ask for to the recipe: what pass 0 must look at, and what is learned from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gmmdask.engine import Engine
from gmmdask.errors import EmptyDataError
from gmmdask.lake import TrainingRows
from gmmdask.preparation import CategoryPolicy, Evidence, Moments, NumericPolicy, Policy, Recipe, Sample
from gmmdask.preparation import learn_recipe as learn
from gmmdask.settings import Settings
from gmmdask.training.survey import Survey, survey_source


def survey_rows(rows: TrainingRows, settings: Settings, engine: Engine) -> Survey:
    """Read rows once, as pass 0 does: with the texts of categories beside their codes, and the described columns."""
    carried = (*settings.preparation.one_hot, *settings.describe)
    source = replace(rows, lake=rows.lake.carry(*carried)) if carried else rows
    return survey_source(source, engine, seed=settings.grid.seed, imputed=imputed(settings))


def imputed(settings: Settings) -> tuple[str, ...]:
    """Return the features whose missing cells are filled."""
    return tuple(name for name in settings.features if settings.preparation.is_imputed(name))


def policy_of(feature: str, settings: Settings) -> Policy:
    """Return what the settings ask for a feature."""
    preparation = settings.preparation
    asked = preparation.of(feature)
    if feature in preparation.one_hot:
        fill = None if asked.missing in ("drop", "mode") else str(asked.missing)
        return CategoryPolicy(fill=fill, fill_by_mode=asked.missing == "mode", unseen=preparation.unseen)
    return NumericPolicy(scale=asked.scale, missing=asked.missing, transform=asked.transform)  # type: ignore[arg-type]


def learn_recipe(survey: Survey, settings: Settings) -> Recipe:
    """Make the recipe from what pass 0 found in the rows that will be fitted.

    Raises
    ------
    EmptyDataError
        A column has no value, or no row has all that are needed.
    InvalidInputError
        A column is constant, or has too many categories.
    """
    policies = {name: policy_of(name, settings) for name in settings.features}
    return learn(_evidence(survey), policies, drop_constant=settings.preparation.drop_constant)


def _evidence(survey: Survey) -> Evidence:
    seen = survey.n_rows - survey.missing - survey.infinite
    if (seen > 0).all() and survey.moments.mass <= 0:
        cells = ", ".join(f"{name} in {n}" for name, n in zip(survey.features, survey.missing, strict=True) if n)
        raise EmptyDataError(
            f"none of the {survey.n_rows} rows has a finite value in every feature (missing: {cells or 'none'}); "
            "leave out the emptiest features, or fill them ([preparation] missing)"
        )
    moments = Moments(
        features=survey.features,
        count=survey.moments.present if survey.moments.mass > 0 else seen,
        mean=survey.moments.mean,
        variance=survey.moments.variance,
        minimum=survey.minimum,
        maximum=survey.maximum,
        missing=np.where(survey.missing > 0, np.maximum(survey.moments.mass - survey.moments.present, 0.0), 0.0),
    )
    reservoir = survey.reservoir.ordered()
    sample = Sample(values=reservoir.values, weights=reservoir.weights)
    return Evidence(moments=moments, sample=sample, categories=survey.categories)
