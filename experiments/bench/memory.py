"""Train and evaluate a tiny model on very many small pictures, and print how much memory it took.

    python -m experiments.bench.memory --workdir runs/memory

The pictures are noise: they are as large encoded as decoded, and the model learns nothing. The
point is that rows and pictures are read when they are needed. A second start continues, and
measures less.
"""

import io
import resource
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import tensorflow_datasets as tfds
from absl import flags
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers

from configs import common
from experiments.common import DRY_RUN, define_workdir, note, run, say
from experiments.planning import end_of_plan
from mllm.benchmarks.dataset import Dataset, build_dataset, open_dataset, write_rows
from mllm.data.conversation import Example, assistant, image, user
from mllm.data.source import Mapped, Source
from mllm.evaluation.request import Choices, Questions, Request, Rounds, content_key
from mllm.studies.evaluate import evaluate
from mllm.studies.stage import Stage
from mllm.studies.start import prepare
from mllm.studies.train import ensure
from mllm.training.nll import nll

WORKDIR = define_workdir("folder of data and runs")
PICTURES = flags.DEFINE_integer("pictures", 50_000, "pictures to train on")
ASKED = flags.DEFINE_integer("asked", 2_000, "pictures to ask about")

SIDE = 64
ANSWERS = ("bright", "dark")
QUESTION = "is it bright or dark ?"
TOGETHER = 256  # requests of a round


class Noise(tfds.core.GeneratorBasedBuilder):
    """Pictures of noise, bright and dark ones in turn."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, *, pictures: int = 0, **options):
        self._pictures = pictures
        super().__init__(file_format="array_record", **options)

    def _info(self) -> tfds.core.DatasetInfo:
        features = {"picture": tfds.features.Image(), "answer": tfds.features.Text()}
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features), disable_shuffling=True
        )

    def _split_generators(self, _) -> dict:
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for number in range(self._pictures):
            answer = ANSWERS[number % 2]
            yield number, {"picture": draw(number, answer), "answer": answer}


def draw(number: int, answer: str) -> bytes:
    """Return a PNG of noise."""
    noise = np.random.default_rng(number).integers(0, 128, (SIDE, SIDE, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise + 127 * (answer == "bright")).save(file, "PNG", compress_level=1)
    return file.getvalue()


class Benchmark:
    """The pictures on disk."""

    def __init__(self, dataset: Dataset):
        self.fingerprint, self.info = dataset.fingerprint, {}
        self.tokenizer_path = dataset.folder / "tokenizer.json"
        self.axes = AXES
        self._rows = dataset.rows("train", dict)

    def examples(self, split: str = "train") -> Source[Example]:
        """Return a conversation about each picture."""
        return Mapped(self._rows, _example)

    def rounds(self, count: int) -> Rounds:
        """Ask about the first pictures, some at a time."""
        rows = self._rows[:count]
        for first in range(0, len(rows), TOGETHER):
            yield [_request(row) for row in rows[first : first + TOGETHER]]


def _example(row: dict) -> Example:
    answer = row["answer"].decode()
    turns = user(image(row["picture"]), QUESTION), assistant(answer)
    return Example("a picture of noise", "noise", turns)


def _request(row: dict) -> Request:
    turns, answer = (user(image(row["picture"]), QUESTION),), row["answer"].decode()
    return Request(content_key(turns=turns), "noise", {"gold": answer}, turns, Choices(ANSWERS))


AXES = ("all",)


def build(folder: Path, pictures: int) -> tuple[Path, dict]:
    """Write the dataset and a tokenizer of its few words."""
    written = write_rows(Noise(pictures=pictures, data_dir=str(folder)))
    words = {
        "<pad>",
        "<s>",
        "</s>",
        "<image>",
        *QUESTION.split(),
        *ANSWERS,
        "USER",
        "ASSISTANT",
        ":",
    }
    tokenizer = Tokenizer(models.WordLevel({w: n for n, w in enumerate(sorted(words))}, "<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["<pad>", "<s>", "</s>", "<image>"])
    tokenizer.save(str(written / "tokenizer.json"))
    return written, {"config": str(pictures), "fingerprint": f"noise of {pictures} pictures"}


def study(workdir: Path, pictures: int, asked: int) -> SimpleNamespace:
    """Return the system: one stage, one question about each picture."""
    folder = workdir / "data" / str(pictures) / "1.0.0"

    def prepared(config, progress=None) -> Benchmark:
        build_dataset(folder, partial(build, pictures=pictures))
        return Benchmark(open_dataset(folder))

    def stages(config) -> dict[str, Stage]:
        return {
            "model": Stage(
                "model",
                ("seed", "model", "rows", "schedule"),
                schedule=config.schedule,
                objective=nll(),
                examples=lambda benchmark: benchmark.examples(),
            )
        }

    def questions(config, benchmark, family) -> Questions:
        return Questions(benchmark.rounds(asked), {"asked": asked}, _records)

    def score(records, config) -> list[dict]:
        right = float(np.mean([record["right"] for record in records]))
        rest = {"n": len(records), "ci95": [None, None], "valid": 1.0, "refusal": 0.0}
        return [{"all": "all", "metric": "accuracy", "value": right, **rest, "invalid": 0.0}]

    return SimpleNamespace(
        AXES=AXES,
        prepare=prepared,
        stages=stages,
        labels=lambda config: {},
        part=lambda config: "all",
        questions=questions,
        score=score,
    )


def _records(answered) -> list[dict]:
    return [
        {"key": reply.key, "right": ANSWERS[int(np.argmax(reply.logprobs))] == request.tags["gold"]}
        for request, reply in answered
    ]


def get_config():
    """Return a model of a few thousand weights."""
    config = common.get_config()
    config.benchmark.name = "noise"
    sizes = dict(width=32, layers=1, heads=2, mlp_width=64)
    config.model = dict(
        family="llava",
        decoder=dict(vocab_size=64, kv_heads=2, head_dim=16, **sizes),
        vision=dict(image_size=SIDE, patch_size=16, activation="gelu", **sizes),
        projector=dict(mlp_width=32, width=32),
        dtype="float32",
    )
    config.processor.update(chat_format="vicuna", image_size=SIDE)
    config.rows.update(tokens=64, supervised=8, answers=1)
    config.schedule = common.stage(rows=128)
    config.evaluation.protocol = "choices"
    return config


def main(_):
    workdir, config = WORKDIR.value, get_config()
    system = study(workdir, PICTURES.value, ASKED.value)
    if DRY_RUN.value:
        say(
            f"makes {PICTURES.value:,} pictures, trains on them and asks {ASKED.value:,}: {workdir}"
        )
        end_of_plan()
        return
    benchmark = prepare(system, config, note)
    trained = ensure("model", config, workdir, system, benchmark)
    entry = evaluate(trained, config, system, benchmark).entry
    cost, (score,) = entry["cost"], entry["scores"]
    say(f"{PICTURES.value} pictures of {SIDE} pixels, {cost['steps']} steps, {score['n']} requests")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    say(f"peak of host memory: {peak * unit / 1e9:.2f} GB")


if __name__ == "__main__":
    run(main)
