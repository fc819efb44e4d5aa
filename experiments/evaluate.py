"""Ask a run's model every question of its benchmark, and score the replies.

A folder of Hugging Face, or of Model.save, is evaluated as a run below --workdir.
"""

import math
from pathlib import Path

from absl import flags

from experiments.common import get_config, run, say
from mllm.benchmarks import get_benchmark
from mllm.evaluation.metrics import HEADLINES
from mllm.evaluation.replies import MANIFEST, REPLIES
from mllm.evaluation.scores import question_values
from mllm.evaluation.statistics import paired_difference
from mllm.files import read_json, read_jsonl
from mllm.studies.evaluate import evaluate, evaluation_folder
from mllm.studies.run import Run
from mllm.studies.train import ensure

CHECKPOINT = flags.DEFINE_string("checkpoint", None, "folder of a finished run", required=True)
WORKDIR = flags.DEFINE_string("workdir", None, "where a folder that is no run gets its results")


def main(_):
    config, folder = get_config(), Path(CHECKPOINT.value)
    system = get_benchmark(config.benchmark.name)
    benchmark = system.open_benchmark(config)
    if WORKDIR.value is not None:
        config.pretrained = str(folder)
        folder = ensure("pretrained", config, Path(WORKDIR.value), system, benchmark).folder
    elif not (folder / "run.json").is_file():
        raise FileNotFoundError(
            f"{folder / 'run.json'}: no such file; a folder that is no run needs --workdir DIR, "
            "where its results go"
        )
    record = read_json(folder / "run.json")
    if record.get("status") != "finished":
        raise ValueError(
            f"{folder / 'run.json'}: status is {record.get('status')!r}, not 'finished'"
        )
    if record["data_fingerprint"] != benchmark.fingerprint:
        raise ValueError(
            f"{folder}: trained on data {record['data_fingerprint'][:12]}, the config's benchmark "
            f"is {benchmark.fingerprint[:12]}; prepare the dataset this run was trained on"
        )
    evaluated = Run(folder, record["method"], config)
    entry = evaluate(evaluated, config, system, benchmark)
    headline = HEADLINES[config.evaluation.protocol]
    for score in entry["scores"]:
        if score["metric"] == headline[score["task"]]:
            names = (score[key] for key in ("set", "task", "modality", "metric"))
            where = " ".join(f"{name:<14}" for name in names)
            # None where nothing could be scored, or where one profile gives no interval.
            interval = ", ".join("-" if end is None else f"{end:.3f}" for end in score["ci95"])
            value = "-" if score["value"] is None else f"{score['value']:.3f}"
            say(f"{where} {value} [{interval}] n={score['n']}")
    if config.evaluation.weights:
        say_differences(evaluated, config, system)


def say_differences(evaluated: Run, config, system) -> None:
    """Print for each headline score what the form of weights changes, in points and paired by
    question, where the same questions were asked of the weights as saved.
    """
    weights, protocol = config.evaluation.weights, config.evaluation.protocol
    folder = evaluation_folder(evaluated, system, config)
    saved = folder.parent.with_name(protocol) / folder.name
    manifests = [part / MANIFEST for part in (folder, saved)]
    if not manifests[1].is_file() or read_json(manifests[0]) != read_json(manifests[1]):
        say(
            f"no float evaluation to compare with: run experiments.evaluate with the same flags "
            f"without --config.evaluation.weights={weights} first, then this again"
        )
        return
    values, reference = (
        question_values(read_jsonl(part / REPLIES), protocol=protocol) for part in (folder, saved)
    )
    say(f"{weights} less the weights as saved, in points:")
    for cell, found in values.items():
        if cell.metric != HEADLINES[protocol][cell.task]:
            continue
        asked = [question for question in found if question in reference.get(cell, {})]
        if not asked:
            continue
        difference = paired_difference(
            [found[question] for question in asked],
            [reference[cell][question] for question in asked],
            [question.profile for question in asked],
        )
        low, high = (
            "-" if math.isnan(end) else f"{100 * end:+.1f}"
            for end in (difference.low, difference.high)
        )
        where = " ".join(f"{name:<14}" for name in cell)
        say(f"{where} {100 * difference.difference:+.1f} [{low}, {high}] n={len(asked)}")


if __name__ == "__main__":
    run(main)
