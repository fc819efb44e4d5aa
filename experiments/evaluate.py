"""Ask a run's model every question of its benchmark, and score the replies.

A Hugging Face folder, or one that Model.save wrote, is evaluated as a run below --workdir.
"""

from pathlib import Path

from experiments.common import DRY_RUN, define_path, get_config, run, say
from experiments.planning import (
    EVALUATION_FILES,
    end_of_plan,
    planned_data,
    show_evaluation,
    show_runs,
)
from mllm.benchmarks import get_benchmark, get_report
from mllm.evaluation.places import find_folder, read_manifest
from mllm.reporting.single import difference_lines, score_lines
from mllm.studies.evaluate import Evaluated, evaluate, read_records
from mllm.studies.plan import Plan
from mllm.studies.run import open_run
from mllm.studies.train import ensure

CHECKPOINT = define_path("checkpoint", "folder of a finished run", required=True)
WORKDIR = define_path("workdir", "where to put the results of a folder that is not a run")


def main(_):
    config, folder = get_config(), CHECKPOINT.value
    name, protocol = config.benchmark.name, config.evaluation.protocol
    system, layout = get_benchmark(name), get_report(name).layout
    if WORKDIR.value is not None:
        config.pretrained = str(folder)
    elif not (folder / "run.json").is_file():
        raise FileNotFoundError(
            f"{folder / 'run.json'}: no such file; a folder that is not a run needs --workdir DIR "
            "for its results"
        )
    if DRY_RUN.value:
        dry_run(config, folder, system)
        return
    benchmark = system.open_benchmark(config)
    if WORKDIR.value is not None:
        folder = ensure("pretrained", config, WORKDIR.value, system, benchmark).folder
    opened = open_run(folder, config, benchmark.fingerprint)
    evaluated = evaluate(opened, config, system, benchmark)
    for line in score_lines(evaluated.entry["scores"], layout, protocol):
        say(line)
    if config.get("tuning", False):
        say("config.tuning: these are scores of validation data; no reported set was asked about")
    if "@" in (name := evaluated.entry["protocol"]):
        say(f"{name}: under other options than the first time, so in {evaluated.folder}")
    if config.evaluation.weights or config.evaluation.kv:
        say_differences(evaluated, config, layout)


def dry_run(config, folder: Path, system) -> None:
    """Print what would be asked."""
    plan = Plan(system, planned_data(config))
    if WORKDIR.value is not None:
        planned = plan.add("pretrained", config, WORKDIR.value)
    else:
        planned = plan.add_finished(folder, config)
    estimates = show_runs(plan, [], plan.benchmark)
    show_evaluation(1, planned, config, estimates)
    say(f"an evaluation writes {EVALUATION_FILES}")
    end_of_plan()


def say_differences(evaluated: Evaluated, config, layout) -> None:
    """Print how the form of the model changes each headline score, in points and paired by
    question, if the model as saved was asked the same questions.
    """
    protocol = config.evaluation.protocol
    forms = {name: config.evaluation[name] for name in ("weights", "kv") if config.evaluation[name]}
    folder, manifest = evaluated.folder, read_manifest(evaluated.folder)
    saved = find_folder(folder.parent.parent, protocol, folder.name, manifest)
    held = read_manifest(saved)
    if held is None or _of_form(held, forms) != manifest:
        flags = " and ".join(f"--config.evaluation.{name}={form}" for name, form in forms.items())
        say(
            f"no float evaluation to compare with: run experiments.evaluate with the same flags "
            f"without {flags} first, then this again"
        )
        return
    values, reference = (
        layout.question_values(read_records(part), protocol) for part in (folder, saved)
    )
    say(f"{_told(forms)}, in points:")
    for line in difference_lines(values, reference, layout, protocol):
        say(line)


def _of_form(manifest: dict, forms: dict[str, str]) -> dict:
    """Return the manifest of the same evaluation with other forms of the model."""
    return {**manifest, "answerer": {**manifest["answerer"], **forms}}


def _told(forms: dict[str, str]) -> str:
    """Return what is compared with what."""
    if "kv" not in forms:
        return f"{forms['weights']} less the weights as saved"
    told = f"keys and values in {forms['kv']}"
    if "weights" in forms:
        return f"{told} and weights in {forms['weights']} less the model as saved"
    return f"{told} less those as computed"


if __name__ == "__main__":
    run(main)
