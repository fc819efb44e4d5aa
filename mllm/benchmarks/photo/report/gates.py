"""Which encoders the gate trusts for which topic, as a heat map."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from mllm.benchmarks.photo.report.layout import READING, label
from mllm.benchmarks.photo.report.study import Study, Subject
from mllm.benchmarks.photo.scores import ALL
from mllm.evaluation.looks import Looks, read_looks
from mllm.files import read_jsonl
from mllm.reporting.figures import LIGHT, Theme
from mllm.reporting.heatmap import heat_map
from mllm.reporting.numbers import points
from mllm.reporting.runs import Run
from mllm.reporting.section import Block, Details, Drawing, Grid, Panel, Paragraph, Section
from mllm.reporting.text import clean_text, join_words

_CAPTION = (
    "Weight of each encoder in percent, averaged over the questions of a topic{}; rows sum to 100. "
    "Small numbers: standard deviation over questions, in points. First the mean over the "
    "{} layers of the fusion, then each layer."
)
_RULE = (
    "A gate says how the features of the encoders are mixed, not what an answer depends on: "
    "compare it with the encoders alone, above. “Between topics” is the share of the variance of a "
    "weight over questions that the topic explains."
)
_MISSING = (
    "The weights of the gate were not recorded for {}, or their file was changed: evaluate the run "
    "again, which writes it."
)
_BANK = (
    "Weight of each query set in percent by topic: which queries the words of a question choose."
)


@dataclasses.dataclass(frozen=True)
class Gates:
    """The gates of some questions.

    Attributes:
      encoders: their names.
      topics: of each question.
      seeds: of each question's run.
      gates: float[questions, layers, encoders].
      bank: float[questions, query sets].
    """

    encoders: tuple[str, ...]
    topics: np.ndarray
    seeds: np.ndarray
    gates: np.ndarray
    bank: np.ndarray

    def of(self, topic: str) -> np.ndarray:
        """Return which questions are of a topic, all for ``ALL``, bool[questions]."""
        return np.full(len(self.topics), True) if topic == ALL else self.topics == topic


def looks_of(run: Run) -> Looks | None:
    """Return what a run's evaluation recorded of gates and attention, None where there is none.

    A file that is damaged or of another evaluation counts as none.
    """
    try:
        return read_looks(run.records_path.parent)
    except (FileNotFoundError, ValueError):
        return None


def gates_of(subject: Subject) -> Gates | None:
    """Return the gates of the questions that a row was asked by text, of all seeds; None where
    they were not recorded.
    """
    parts = []
    for run in subject.runs:
        found = looks_of(run)
        if found is None:
            continue
        places = {key: place for place, key in enumerate(found.keys)}
        asked = [
            (places[record["key"]], record["topic"])
            for record in read_jsonl(run.records_path)
            if record["reading"] == READING and record["key"] in places
        ]
        if asked:
            rows = [place for place, _ in asked]
            topics = [topic for _, topic in asked]
            parts.append((found.encoders, topics, run.seed, found.gates[rows], found.bank[rows]))
    names = {encoders for encoders, *_ in parts}
    if len(names) != 1:
        return None
    return Gates(
        names.pop(),
        np.array([topic for _, topics, *_ in parts for topic in topics]),
        np.array([seed for _, topics, seed, *_ in parts for _ in topics]),
        np.concatenate([np.asarray(one[3], float) for one in parts]),
        np.concatenate([np.asarray(one[4], float) for one in parts]),
    )


def gate_section(study: Study) -> Section | None:
    """Return the weights of the gate by topic; None where the fused model was not asked."""
    if study.fused is None or not study.fused.asked():
        return None
    title, menu = "Which encoders the gate trusts for which topic", "Gate"
    found = gates_of(study.fused)
    if found is None:
        text = _MISSING.format(study.fused.label)
        return Section("gates", title, (Paragraph(text),), menu)
    shown = _layers(found)
    panels = tuple(
        Panel(lambda theme, one=one: gate_figure(study, found, one, theme), _panel_text(one))
        for one in shown
    )
    seeds = len(set(found.seeds.tolist()))
    saved = {"gates" if one is None else f"gates_layer{one + 1}": panel.draw
             for one, panel in zip(shown, panels, strict=True)}  # fmt: skip
    caption = _CAPTION.format(f" and over {seeds} seeds" if seeds > 1 else "", found.gates.shape[1])
    blocks: list[Block] = [
        Paragraph(summary(study, found)),
        Drawing(panels, caption, saved=saved),
        gate_grid(study, found),
        Paragraph(_RULE, note=True),
    ]
    folded: list[Block] = []
    if seeds > 1:
        folded.append(seed_grid(found))
    if found.bank.shape[1] > 1:
        panel = Panel(
            lambda theme: bank_figure(study, found, theme), "Weight of the query sets by topic"
        )
        folded.append(Drawing((panel,), _BANK, columns=1, saved={"bank": panel.draw}))
    if folded:
        name = "Query sets by topic" if seeds == 1 else "Weights by seed, and query sets by topic"
        blocks.append(Details(name, tuple(folded)))
    return Section("gates", title, tuple(blocks), menu)


def _layers(found: Gates) -> list[int | None]:
    """Return None for the mean over layers, then each layer where there are several."""
    count = found.gates.shape[1]
    return [None, *range(count)] if count > 1 else [None]


def _panel_text(layer: int | None) -> str:
    place = "over all layers" if layer is None else f"in layer {layer + 1}"
    return f"Weight of each encoder by topic {place}"


def topics_of(study: Study, found: Gates) -> list[str]:
    """Return all topics together, then those that have questions with gates."""
    return [ALL, *(topic for topic in study.topics if found.of(topic).any())]


def weights(found: Gates, layer: int | None = None) -> np.ndarray:
    """Return the weight of each encoder, the mean over layers or that of one, float[questions,
    encoders].
    """
    return found.gates.mean(1) if layer is None else found.gates[:, layer]


def summary(study: Study, found: Gates) -> str:
    """Return a sentence about the mean weights and the topics where they are largest."""
    values = weights(found)
    mean = values.mean(0)
    shares = [f"{name} {points(share)}%" for name, share in zip(found.encoders, mean, strict=True)]
    text = f"Over all questions the gate gives {join_words(shares)}."
    topics = topics_of(study, found)[1:]
    if len(topics) < 2:
        return text
    most = []
    for at, name in enumerate(found.encoders):
        by_topic = {topic: values[found.of(topic), at].mean() for topic in topics}
        top = max(by_topic, key=by_topic.get)
        most.append(f"{name} for {label('topic', top)} ({points(by_topic[top])}%)")
    shared = [f"{points(between(found, at))}%" for at in range(len(found.encoders))]
    return (
        f"{text} Of all topics, most weight goes to {join_words(most)}. The topic explains "
        f"{join_words(shared)} of the variance of these weights over questions."
    )


def between(found: Gates, encoder: int) -> float:
    """Return the share of the variance of a weight over questions that lies between topics; 0 of a
    weight that does not vary.
    """
    values = weights(found)[:, encoder]
    whole = float(values.var())
    if whole < 1e-12:
        return 0.0
    means = np.zeros_like(values)
    for topic in set(found.topics.tolist()):
        rows = found.of(topic)
        means[rows] = values[rows].mean()
    return float(means.var()) / whole


def gate_grid(study: Study, found: Gates) -> Grid:
    """Return the mean weights by topic with their spread, over layers and in each layer."""
    shown = _layers(found)
    rows = []
    for topic in topics_of(study, found):
        chosen = found.of(topic)
        cells = [
            f"{100 * mean:.1f} ± {100 * deviation:.1f}"
            for layer in shown
            for mean, deviation in zip(
                weights(found, layer)[chosen].mean(0),
                weights(found, layer)[chosen].std(0),
                strict=True,
            )
        ]
        rows.append((label("topic", topic), f"{chosen.sum():,}", *cells))
    shares = (f"{100 * between(found, at):.1f}%" for at in range(len(found.encoders)))
    blanks = ("",) * (len(found.encoders) * (len(shown) - 1))
    rows.append(("Between topics", "", *shares, *blanks))
    names = [clean_text(name, 30) for name in found.encoders]
    heads = [
        name if layer is None else f"{name}, layer {layer + 1}" for layer in shown for name in names
    ]
    return Grid("Weights of the gate by topic", ("Topic", "Questions", *heads), tuple(rows))


def seed_grid(found: Gates) -> Grid:
    """Return the mean weights of each seed."""
    values = weights(found)
    rows = tuple(
        (f"seed {seed}", *(f"{100 * mean:.1f}" for mean in values[found.seeds == seed].mean(0)))
        for seed in sorted(set(found.seeds.tolist()))
    )
    names = (clean_text(name, 30) for name in found.encoders)
    return Grid("Weights of the gate by seed", ("Seed", *names), rows)


def gate_figure(study: Study, found: Gates, layer: int | None, theme: Theme = LIGHT):
    """Draw the mean weights of topics and encoders, over layers or in one."""
    title = "All layers" if layer is None else f"Layer {layer + 1}"
    layers = [weights(found, one) for one in _layers(found)]  # panels share their colours
    most = max(_means(study, found, one).max() for one in layers)
    return _topic_map(study, found, weights(found, layer), found.encoders, title, theme, most)


def bank_figure(study: Study, found: Gates, theme: Theme = LIGHT):
    """Draw the mean weights of topics and query sets."""
    names = [f"set {at + 1}" for at in range(found.bank.shape[1])]
    most = _means(study, found, found.bank).max()
    return _topic_map(study, found, found.bank, names, "Query sets", theme, most)


def _means(study: Study, found: Gates, values: np.ndarray) -> np.ndarray:
    """Return the mean of values over the questions of each topic, all first."""
    return np.stack([values[found.of(topic)].mean(0) for topic in topics_of(study, found)])


def _topic_map(
    study: Study,
    found: Gates,
    values: np.ndarray,
    names: Sequence[str],
    title: str,
    theme: Theme,
    most: float,
):
    topics = topics_of(study, found)
    spreads = [100 * values[found.of(topic)].std(0) for topic in topics]
    return heat_map(
        (100 * _means(study, found, values)).tolist(),
        [label("topic", topic) for topic in topics],
        names,
        theme,
        title=title,
        high=10 * math.ceil(10 * most),
        notes=[[f"± {spread:.1f}" for spread in row] for row in spreads],
    )
