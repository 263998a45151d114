"""What is printed of models: which there are, what one is, and who is in force now. Reads values; changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Console

from gmmdask.cli.tables import facts, print_wide, sentences, table
from gmmdask.monitoring import NullDistribution, Thresholds
from gmmdask.monitoring.null import RUN
from gmmdask.nightly.champions import KnownModel
from gmmdask.nightly.history import History
from gmmdask.nightly.model import NightModel
from gmmdask.preparation.codes import category_codes
from gmmdask.preparation.columns import CategoryColumn, Column, NumericColumn
from gmmdask.settings import Settings

SHOWN_CATEGORIES = 8


def print_models(models: Sequence[KnownModel], settings: Settings, console: Console) -> None:
    """Print one row for each model, and below what is wrong with any."""
    if not models:
        console.print(f"{settings.segmentation.name} has no model yet: run a night first.", markup=False)
        return
    columns = ("model", "state", "since", "dates", "trained to", "components")
    console.print(table(columns, map(_row, models), left=("model", "state")))
    console.print("dates: how many have its labels now", style="dim")
    for known in models:
        if told := known.trouble or _objection(known):
            console.print(facts([(known.model_id, told)]))


def print_model(
    known: KnownModel, model: NightModel, names: Mapping[int, str], settings: Settings, console: Console
) -> None:
    """Print everything of a model that a person may want to know: origin, structure, recipe, segments, watch.

    Parameters
    ----------
    known : KnownModel
        Its place in the history.
    model : NightModel
    names : mapping of int to str
        Names of segments, by id.
    settings : Settings
    console : Console
    """
    console.print(facts(_provenance(known, model)))
    console.print("\n[bold]Preparation[/]")
    recipe = model.segments.recipe
    columns = ("feature", "missing", "transform", "centre", "scale")
    console.print(table(columns, map(_step, recipe.columns), left=("feature", "missing", "transform")))
    console.print("[bold]Segments[/]: weights, and centres in original units")
    _print_segments(model, names, console)
    console.print("[bold]Watch[/]")
    console.print(sentences(_watch(model, settings)))


def told_in_force(history: History, settings: Settings, path: object, *, is_new: bool) -> list[str]:
    """Return in sentences which model is in force now, and what that means for labels.

    Parameters
    ----------
    history : History
    settings : Settings
    path : object
        Of the settings file, as it was typed.
    is_new : bool
        Whether it came into force just now.
    """
    reign, name = history.reigns[-1], settings.segmentation.name
    if is_new:
        told = [f"In force for {name}: model {reign.champion_id}, from the night after {reign.dt} on."]
    else:
        told = [f"Nothing to do: model {reign.champion_id} is the champion of {name}."]
    others = sorted(dt for dt, model_id in history.models.items() if model_id != reign.champion_id)
    if others:
        told += [
            f"Labels stay as they are; those of other models are on {len(others)} of {len(history.models)} dates. To change them:",
            f"  gmmdask rescore {path} --from {others[0]} --to {others[-1]}",
        ]
    else:
        told.append("All labels are its own.")
    return told


def _row(known: KnownModel) -> list[str]:
    since = "" if known.since is None else known.since.isoformat()
    trained = known.model.provenance["dates"][-1] if known.model else ""
    return [known.model_id, known.state, since, str(known.n_dates), trained, _shape(known.model)]


def _shape(model: NightModel | None) -> str:
    return "" if model is None else f"{model.segments.n_segments} {model.segments.parameters.structure.name}"


def _objection(known: KnownModel) -> str:
    objection = known.model.provenance.get("objection") if known.model else None
    return f"disqualified: {objection}" if objection else ""


def _provenance(known: KnownModel, model: NightModel) -> list[tuple[str, str]]:
    provenance, segments = model.provenance, model.segments
    since = "" if known.since is None else f" since the night of {known.since}"
    limit = segments.anomaly_threshold
    return [
        ("Model", f"{known.model_id}: {known.state}{since}; {known.n_dates} dates have its labels"),
        ("Objection", str(provenance.get("objection") or "")),
        ("Trained on", f"{known.trained_on}: {provenance['training_rows']:,} rows"),
        ("Run", str(provenance["run_id"])),
        ("Files", f"fingerprint {provenance['manifest_fingerprint']}"),
        ("Machine", f"fingerprint {provenance['numeric_fingerprint']}"),
        ("Structure", f"{_shape(model)} components of {len(segments.recipe.prepared_features)} prepared features"),
        ("Anomalies", "" if limit is None else f"rows of a log density below {limit:.4g} nats"),
        ("Descent", _descent(model)),
    ]


def _descent(model: NightModel) -> str:
    if model.alignment is None:
        return "its segments continue no other model's"
    origins = Counter(descent.origin for descent in model.alignment.descents)
    gone = [str(one) for one in model.alignment.old_ids if one not in model.alignment.segment_ids]
    told = [f"{count} {origin}" for origin, count in sorted(origins.items())]
    return f"segments {', '.join(told)}" + (f"; gone are {', '.join(gone)}" if gone else "")


def _step(column: Column) -> list[str]:
    if isinstance(column, CategoryColumn):
        missing = "row dropped" if column.fill is None else f"as {column.fill!r}"
        shown = ", ".join(column.categories[:SHOWN_CATEGORIES])
        more = len(column.categories) - SHOWN_CATEGORIES
        told = f"one-hot: {shown}" + (f" and {more} more" if more > 0 else "")
        return [column.name, missing, f"{told}; unseen: {column.unseen}", "", ""]
    return [column.name, _fill(column), _transform(column), f"{column.centre:.4g}", f"{column.scale:.4g}"]


def _fill(column: NumericColumn) -> str:
    return "row dropped" if column.fill is None else f"{column.fill_rule} {column.fill:.4g}"


def _transform(column: NumericColumn) -> str:
    if column.constant:
        return "left out, constant"
    return "none" if column.transform == "none" else f"arcsinh((x - {column.middle:.4g}) / {column.spread:.4g})"


def _print_segments(model: NightModel, names: Mapping[int, str], console: Console) -> None:
    segments = model.segments
    own = {segment_id: names.get(segment_id, "") for segment_id in segments.segment_ids}
    is_named = any(own.values())
    rows = [
        [str(segment_id), *([own[segment_id]] if is_named else []), f"{weight:.1%}", *cells]
        for segment_id, weight, cells in zip(
            segments.segment_ids, segments.parameters.weights.tolist(), _centres(model), strict=True
        )
    ]
    columns = ["id", *(["name"] if is_named else []), "weight", *segments.recipe.features]
    print_wide(columns, rows, console, first=2 if is_named else 1)


def _centres(model: NightModel) -> list[list[str]]:
    """Return the centre of every segment, a category by its name."""
    columns = model.segments.recipe.columns
    return [
        [_value(column, value) for column, value in zip(columns, centre, strict=True)]
        for centre in model.segments.centres.tolist()
    ]


def _value(column: Column, value: float) -> str:
    if isinstance(column, CategoryColumn):
        codes = category_codes(column.categories).tolist()
        return str(dict(zip(codes, column.categories, strict=True)).get(value, ""))
    return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def _part_limits(null: NullDistribution) -> str:
    margin = Thresholds().part_margin
    limits = [f"a {part} part over {margin * most:.2g}" for part, most in null.largest_parts.items()]
    return f", and of the last {RUN} nights together {', '.join(limits)}" if limits else ""


def _watch(model: NightModel, settings: Settings) -> list[str]:
    """Return by what later nights are judged."""
    if model.watch is None:
        return ['nights are not watched by it: it was trained with [drift] action = "off"']
    null, drift = model.watch.null, settings.drift
    tests = len(model.watch.profile.tests)
    told = (
        f"every night: {tests} tests of features, each by what it was on {len(model.watch.profile.rows.by_date)} nights"
    )
    if null.n_nights < drift.fewest_nights:
        few = f"it learned from {null.n_nights} nights, fewer than {drift.fewest_nights}: fitted anew when a window is full"
        return [few, told]
    return [
        f"windows of {null.window} nights: on {null.n_nights} training nights, one step of retraining would gain "
        f"{null.median:.2g} nats per row in the middle and {null.largest:.2g} at most; up to "
        f"{drift.margin * null.largest:.2g} is ordinary",
        f"every night: a gain over {null.night_quantile(drift.alert_quantile):.2g} nats per row alarms"
        f"{_part_limits(null)}",
        told,
    ]
