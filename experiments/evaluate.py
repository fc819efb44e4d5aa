"""Ask a run's model every question of its benchmark, and score the replies.

A Hugging Face folder, or one that Model.save wrote, is evaluated as a run below --workdir.
"""

from pathlib import Path

from absl import flags

from experiments.common import get_config, run, say
from mllm.benchmarks import get_benchmark, get_report
from mllm.evaluation.store import MANIFEST, RECORDS
from mllm.files import read_json, read_jsonl
from mllm.reporting.single import difference_lines, score_lines
from mllm.studies.evaluate import evaluate, evaluation_folder
from mllm.studies.run import Run, open_run
from mllm.studies.train import ensure

CHECKPOINT = flags.DEFINE_string("checkpoint", None, "folder of a finished run", required=True)
WORKDIR = flags.DEFINE_string(
    "workdir", None, "where to put the results of a folder that is not a run"
)


def main(_):
    config, folder = get_config(), Path(CHECKPOINT.value)
    name, protocol = config.benchmark.name, config.evaluation.protocol
    system, layout = get_benchmark(name), get_report(name).layout
    benchmark = system.open_benchmark(config)
    if WORKDIR.value is not None:
        config.pretrained = str(folder)
        folder = ensure("pretrained", config, Path(WORKDIR.value), system, benchmark).folder
    elif not (folder / "run.json").is_file():
        raise FileNotFoundError(
            f"{folder / 'run.json'}: no such file; a folder that is not a run needs --workdir DIR "
            "for its results"
        )
    evaluated = open_run(folder, config, benchmark.fingerprint)
    entry = evaluate(evaluated, config, system, benchmark)
    for line in score_lines(entry["scores"], layout, protocol):
        say(line)
    if config.evaluation.weights:
        say_differences(evaluated, config, system, layout)


def say_differences(evaluated: Run, config, system, layout) -> None:
    """Print how the form of the weights changes each headline score, in points and paired by
    question, if the weights as saved were asked the same questions.
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
        layout.question_values(read_jsonl(part / RECORDS), protocol) for part in (folder, saved)
    )
    say(f"{weights} less the weights as saved, in points:")
    for line in difference_lines(values, reference, layout, protocol):
        say(line)


if __name__ == "__main__":
    run(main)
