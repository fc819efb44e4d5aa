"""The study of CoBSAT: a model that draws is taught and asked, next to answers that bracket it.

tokeniser      an autoencoder, taught to draw all pictures again from codes
drawer         the same model's decoder, taught to answer prompts, with pictures and descriptions
judge          a model that reads pictures, taught the judge's questions about them and other views,
               or one of a Hugging Face folder: a vision-language model, or CLIP
ft_all, ft_leave_one_out   the drawer, fine-tuned on published prompts
oracle, view, reconstructed   the right picture, another view of it, and what its codes draw
random, copy_last, query_only   outputs that know nothing, the last picture, or the query alone
blind, other_theta   the drawer without pictures, and with those of another theta
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mllm.benchmarks.cobsat import benchmark as dataset
from mllm.benchmarks.cobsat import brackets, taught
from mllm.benchmarks.cobsat.benchmark import Benchmark, summary
from mllm.benchmarks.cobsat.generate import PICTURES
from mllm.benchmarks.cobsat.judge import CLIP, PUBLISHED, TAUGHT, Judge
from mllm.benchmarks.cobsat.protocol import JUDGE, Drawing, Protocol, notes, rounds
from mllm.benchmarks.cobsat.scores import AXES, records_of, scores_of
from mllm.checkpoints.clip import is_clip_folder
from mllm.data.source import Joined
from mllm.evaluation.baselines import Blind
from mllm.evaluation.contrastive import clip_answerer
from mllm.evaluation.request import Answerer, Questions
from mllm.models import MODELS
from mllm.studies.stage import Stage
from mllm.training.autoencoder import autoencoder
from mllm.unlearning import get_objective

__all__ = [
    "AXES",
    "Benchmark",
    "labels",
    "open_benchmark",
    "part",
    "prepare",
    "questions",
    "score",
    "stages",
    "summary",
]

# What taught prompts say besides their words.
STYLES = tuple(
    f"evaluation.{key}" for key in ("image_style", "text_style", "modes", "drawing.words")
)
TRAIN = "train"  # the split of views that models are taught on


def prepare(config, progress=None) -> Benchmark:
    """Write the benchmark of a configuration unless it is there, and open it."""
    chosen = config.benchmark
    return dataset.prepare(
        chosen.data_dir,
        chosen.config,
        seed=chosen.seed,
        published_dir=chosen.published_dir,
        progress=progress,
    )


def open_benchmark(config) -> Benchmark:
    """Open the prepared benchmark of a configuration."""
    chosen = config.benchmark
    return Benchmark.open(
        chosen.data_dir, chosen.config, seed=chosen.seed, published_dir=chosen.published_dir
    )


def labels(config) -> dict[str, Any]:
    """Return what tells runs apart besides method and seed: nothing."""
    return {}


def part(config) -> str:
    """Return the folder of an evaluation below that of its protocol: the data mode."""
    return config.evaluation.data


def stages(config) -> dict[str, Stage]:
    """Return the graph of the study, in order."""
    seed, bracket = config.seed, partial(_bracket, _asks(config))
    found = [
        _tokeniser(config),
        _judge(config),
        _drawer(config),
        *[_finetuned(config, mode) for mode in ("all", "leave_one_out")],
        bracket("oracle", lambda b, f, p: brackets.shows("oracle", b, brackets.right)),
        bracket("view", lambda b, f, p: brackets.view(b)),
        bracket("reconstructed", lambda b, f, p: brackets.reconstructed(b, p), "tokeniser"),
        bracket("random", partial(_seeded, "random", seed, brackets.guessed)),
        bracket("copy_last", lambda b, f, p: brackets.shows("copy_last", b, brackets.copied)),
        bracket("query_only", partial(_seeded, "query_only", seed, brackets.query_only)),
        bracket("blind", lambda b, f, p: Blind(p), "drawer"),
        bracket("other_theta", lambda b, f, p: brackets.OtherTheta(p, b, seed), "drawer"),
    ]
    return {stage.name: stage for stage in found}


def _tokeniser(config) -> Stage:
    return Stage(
        "tokeniser",
        ("seed", "model", "processor.image_size", "tokeniser", "autoencoder"),
        schedule=config.tokeniser,
        objective=autoencoder(**config.autoencoder, seed=config.seed),
        examples=lambda benchmark: taught.Pictures(benchmark.rows(PICTURES)),
    )


def _judge(config) -> Stage:
    """Return the stage of the judge: taught here, or of the folder ``config.judge.folder``."""
    chosen, asked = config.judge, _judge_of(config)
    clip = bool(chosen.folder) and is_clip_folder(Path(chosen.folder))
    _require_forms(chosen.folder, clip, asked.forms)
    if clip:
        return Stage(
            JUDGE, ("judge.folder",), answerer=lambda b, f, p: clip_answerer(Path(chosen.folder))
        )
    if chosen.folder:
        return Stage(JUDGE, ("judge.folder",), pretrained=chosen.folder, own_format=True)

    def examples(benchmark: Benchmark):
        rows = Joined(*(benchmark.rows(split) for split in (PICTURES, TRAIN)))
        return taught.JudgeQuestions(rows, asked)

    asking = (f"evaluation.judge.{key}" for key in ("cut", "modes", "forms"))
    keys = ("seed", "processor", "rows", "judge", *asking)
    return Stage(
        JUDGE,
        keys,
        model=chosen.model,
        schedule=chosen.schedule,
        objective=get_objective("nll"),
        examples=examples,
    )


def _require_forms(folder: str, clip: bool, forms: Sequence[str]) -> None:
    """Check that a judge can be asked in these forms.

    Raises:
      ValueError: it cannot.
    """
    if clip:
        known, what = CLIP, "a CLIP, which compares pictures with texts alone"
    elif folder:
        known, what = PUBLISHED, "which knows the published questions alone"
    else:
        known, what = (*TAUGHT, *PUBLISHED), "so that the judge is taught here; CLIP needs a folder"
    if other := [form for form in forms if form not in known]:
        raise ValueError(
            f"config.judge.folder is {folder!r}, {what}, found the forms {other!r}: set "
            f"config.evaluation.judge.forms to {known!r}"
        )


def _drawer(config) -> Stage:
    protocol, chosen = protocol_of(config), config.sequences

    def examples(benchmark: Benchmark):
        sequences = taught.Sequences(
            benchmark,
            protocol,
            size=chosen.size,
            shots=chosen.shots,
            weights=chosen.weights.to_dict(),
            group=chosen.group,
            described=chosen.described,
            seed=config.seed,
        )
        return Joined(sequences, taught.Named(benchmark, **config.named, seed=config.seed))

    return Stage(
        "drawer",
        ("seed", "processor", "rows", "sequences", "named", "drawer", *STYLES),
        parent="tokeniser",
        schedule=config.drawer,
        objective=get_objective("nll"),
        examples=examples,
        asks=_asks(config),
        method=True,
    )


def _finetuned(config, mode: str) -> Stage:
    protocol, chosen = protocol_of(config), config.finetuning

    def examples(benchmark: Benchmark):
        theme = chosen.theme if mode == "leave_one_out" else ""
        found = taught.finetuning(mode, chosen.shots, chosen.types, protocol.modes, theme)
        return taught.Samples(benchmark, protocol, found)

    return Stage(
        f"ft_{mode}",
        ("seed", "rows", "lora", "finetuning", *STYLES),
        parent="drawer",
        schedule=chosen.schedule,
        objective=get_objective("nll"),
        examples=examples,
        asks=_asks(config),
        method=True,
    )


def _bracket(asks: tuple[str, ...], name: str, answerer, parent: str | None = None) -> Stage:
    return Stage(name, ("seed",), parent=parent, answerer=answerer, asks=asks, method=True)


def _seeded(name: str, seed: int, choose, benchmark: Benchmark, folder, parent) -> Answerer:
    return brackets.shows(name, benchmark, lambda request: choose(request, seed))


def _asks(config) -> tuple[str, ...]:
    return (JUDGE,) if config.evaluation.judge.forms else ()


def _judge_of(config) -> Judge:
    chosen = config.evaluation.judge
    return Judge(chosen.cut, tuple(chosen.forms), tuple(chosen.modes), chosen.tokens)


def protocol_of(config) -> Protocol:
    """Return the protocol of a configuration."""
    chosen = config.evaluation
    return Protocol(
        name=chosen.protocol,
        data=chosen.data,
        tasks=tuple(chosen.tasks),
        shots=tuple(chosen.shots),
        types=tuple(chosen.types),
        modes=tuple(chosen.modes),
        prompts=chosen.prompts,
        fewer=chosen.fewer,
        seed=chosen.seed,
        image_style=chosen.image_style,
        text_style=chosen.text_style,
        reply_tokens=chosen.reply_tokens,
        analysis_tokens=chosen.analysis_tokens,
        drawing=Drawing(**chosen.drawing),
        judge=_judge_of(config) if chosen.judge.forms else None,
    )


def questions(config, benchmark: Benchmark, family: str) -> Questions:
    """Return what the protocol of a configuration asks.

    A model of a family that writes text alone is asked in text mode.
    """
    protocol = protocol_of(config)
    if family and not hasattr(MODELS[family], "draw_pictures"):
        protocol = protocol.of_modes("text")
    return Questions(
        rounds(benchmark, protocol),
        {"protocol": protocol.digest_fields()},
        records_of,
        notes=notes(protocol),
    )


def score(records: Sequence[dict], config) -> list[dict]:
    """Return the scores of all cells."""
    return scores_of(records)
