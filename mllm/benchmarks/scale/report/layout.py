"""Names and order of suites, formats, capabilities and models in the report."""

import dataclasses
from collections.abc import Iterable, Sequence

from mllm.benchmarks.scale.score import ALL
from mllm.benchmarks.scale.taxonomy import CELLS, FORMATS, SUITES
from mllm.reporting import Axis, Layout, Style
from mllm.reporting.runs import Run
from mllm.reporting.text import clean_text

BRACKETS = {
    "oracle": "Oracle",
    "random": "Random",
    "majority": "Majority",
    "blind": "Blind",
}
LABELS = {
    "suite": {ALL: "All suites"},
    "format": {
        "single": "Single picture",
        "multi": "Several pictures",
        "frames": "Frames",
        "interleaved": "Interleaved",
        ALL: "All formats",
    },
    "capability": {ALL: "All capabilities"},
}
ORDER = {
    "suite": (*SUITES, ALL),
    "format": (*FORMATS, ALL),
    "capability": (*dict.fromkeys(cell[2] for cell in CELLS), ALL),
}
METRICS = {
    "score": "score",
    "parsed": "score of parsed replies",
    "wordings_mean": "mean over wordings",
    "wordings_sd": "standard deviation over wordings",
}
# Colours of Okabe and Ito (2008), which readers with any colour vision tell apart.
_COLOURS = ("#E69F00", "#0072B2", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
_MARKERS = "osD^vP"


def _headline(values: tuple[str, ...], protocol: str) -> str:
    """Return the metric of the tables that a terminal shows: those over all capabilities."""
    return "score" if values[1] == ALL else ""


# Imported items may name other suites and capabilities, so these axes take any value.
LAYOUT = Layout(
    title="Large and small models",
    axes=(Axis("suite"), Axis("format", LABELS["format"]), Axis("capability")),
    tables=("suite", "capability"),
    columns=("format",),
    methods=BRACKETS,
    brackets=tuple(BRACKETS),
    metrics=METRICS,
    headline=_headline,
    clusters="items",
    styles=dict.fromkeys(BRACKETS, Style("muted", "*")),
)


def label(axis: str, value: str) -> str:
    """Return what a reader sees for a value of an axis."""
    name = LABELS[axis].get(value) or clean_text(value, 40)
    return name[:1].upper() + name[1:]


def parameters(run: Run) -> float | None:
    """Return the number of parameters of a run's model, None where it is not known."""
    efficiency = run.cost.get("efficiency") or {}
    return efficiency.get("parameters") or run.cost.get("parameters")


def layout_of(layout: Layout, runs: Sequence[Run]) -> Layout:
    """Return the layout for some runs: their models by size, the values of the axes they have."""
    models = by_size(runs)
    styles = {
        name: Style(_COLOURS[place % len(_COLOURS)], _MARKERS[place % len(_MARKERS)])
        for place, name in enumerate(models)
    }
    return dataclasses.replace(
        layout,
        axes=tuple(_axis(axis.name, runs) for axis in layout.axes),
        methods={**BRACKETS, **{name: clean_text(name, 40) for name in models}},
        styles={**layout.styles, **styles},
    )


def by_size(runs: Sequence[Run]) -> list[str]:
    """Return the methods that are models, the smallest first.

    That is by their parameters where these are known of all of them, else as the configuration
    lists them (``compared``); models that it does not list come last.
    """
    sizes = {run.method: parameters(run) for run in runs if run.method not in BRACKETS}
    if all(sizes.values()):
        return sorted(sizes, key=lambda name: (sizes[name], name))
    places = {name: place for place, name in enumerate(listed_models(runs))}
    return sorted(sizes, key=lambda name: (places.get(name, len(places)), name))


def listed_models(runs: Iterable[Run]) -> list[str]:
    """Return the models that the configuration of the runs lists, the smallest first."""
    return max((list(run.config.get("compared") or ()) for run in runs), key=len, default=[])


def _axis(name: str, runs: Iterable[Run]) -> Axis:
    found = {score[name] for run in runs for score in run.scores}
    return Axis(name, {value: label(name, value) for value in in_order(name, found)})


def in_order(axis: str, values: Iterable[str]) -> list[str]:
    """Return values of an axis in the order of the tables; unknown ones follow by name."""
    known = ORDER[axis]
    last = len(known) - 1  # the sum over all values closes a table
    places = {value: place for place, value in enumerate(known)}
    return sorted(set(values), key=lambda value: (places.get(value, last - 0.5), value))
