"""Ask a finished run what its benchmark asks, score the replies and write the results."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from mllm.checkpoints.contents import Verification
from mllm.checkpoints.folder import load_model
from mllm.checkpoints.loaded import Loaded
from mllm.decoding.split import split_for_decoding
from mllm.evaluation.request import Answerer, Questions
from mllm.evaluation.runner import LocalModel
from mllm.evaluation.store import ask
from mllm.files import read_json, write_json
from mllm.ops.lora import merge_lora
from mllm.ops.quant import quantise
from mllm.parallel.launch import is_first, wait_for_all
from mllm.parallel.place import place
from mllm.registry import lookup
from mllm.studies.efficiency import measure
from mllm.studies.environment import environment
from mllm.studies.lock import hold
from mllm.studies.run import UNVERIFIED, Run
from mllm.studies.stage import find, folder_name
from mllm.studies.start import device_mesh
from mllm.studies.system import System
from mllm.training.progress import counted

EFFICIENCY = "efficiency.json"
FORMS = {"": lambda variables: variables, "int8": partial(quantise, donate=True)}


def protocol_name(config) -> str:
    """Return the name of a protocol with the form of weights, which folders and results carry.

    With int8 weights it is ``<protocol>-int8``, so that no report takes these scores for those of
    the weights as saved.
    """
    protocol, weights = config.evaluation.protocol, config.evaluation.weights
    return f"{protocol}-{weights}" if weights else protocol


def evaluation_folder(run: Run, system: System, config) -> Path:
    """Return where the replies of a run go: ``eval/<protocol>/<part>``."""
    return run.folder / "eval" / protocol_name(config) / system.part(config)


def load_for_evaluation(run: Run, config) -> Loaded:
    """Return a run's model, its layers apart and its matrices in ``config.evaluation.weights``."""
    form = lookup(FORMS, config.evaluation.weights, "weights (config.evaluation.weights)")
    mesh = device_mesh(config)
    loaded = load_model(run.folder, mesh=mesh)
    # Merged, every run of a study is evaluated by the programs that were compiled for the first.
    merged = place(merge_lora(loaded.variables), mesh)
    return replace(loaded, variables=split_for_decoding(place(form(merged), mesh), donate=True))


def evaluate(run: Run, config, system: System, benchmark) -> dict:
    """Ask and score a finished run; return its entry of the results.

    Writes ``eval/<protocol>/<part>/`` (replies, scores) and ``eval/<protocol>/results.json`` (all
    parts so far); a run may be evaluated under several protocols, side by side.

    Raises:
      ValueError: another command asks the same run the same, or the run was made for other
        questions than those of the configuration.
    """
    asked = replace(run, config=config)
    asked.require_asked_as_made(find(system.stages(config), run.method))
    with hold(evaluation_folder(run, system, config)):
        return _evaluate(run, config, system, benchmark)


def _evaluate(run: Run, config, system: System, benchmark) -> dict:
    record, folder = run.record(), evaluation_folder(run, system, config)
    questions, answerer = questions_for(run, config, system, benchmark)
    manifest = {
        "checkpoint_digest": record["checkpoint_digest"],
        "data_fingerprint": benchmark.fingerprint,
        "answerer": dict(answerer.identity),
    }
    unverified = record.get(UNVERIFIED, False) or not Verification.weights
    if unverified:
        manifest[UNVERIFIED] = True
    progress = counted(f"evaluate {run.folder.name}, {protocol_name(config)}")
    records = ask(questions, {"subject": answerer}, folder, manifest, progress=progress)
    cost, measured = record.get("cost", {}), folder / EFFICIENCY
    if measured.is_file():
        cost = {**cost, "efficiency": read_json(measured)}
    entry = {
        "method": run.method,
        "seed": record["seed"],
        **system.labels(config),
        "checkpoint_digest": record["checkpoint_digest"],
        "protocol": protocol_name(config),
        "scores": system.score(records, config),
        "cost": cost,
        **({UNVERIFIED: True} if unverified else {}),
    }
    if is_first():
        write_results(folder, entry, config.benchmark.name, system.AXES)
    wait_for_all(f"{folder} is scored")
    return entry


def questions_for(run: Run, config, system: System, benchmark) -> tuple[Questions, Answerer]:
    """Return what a run is asked, and what answers: its model, or the answerer of its stage."""
    stages = system.stages(config)
    stage = find(stages, run.method)
    if stage.answerer is None:
        loaded = load_for_evaluation(run, config)
        questions = system.questions(config, benchmark, loaded.family)
        return questions, _local(loaded, config, questions)
    questions, parent = system.questions(config, benchmark, ""), None
    if stage.parent is not None:
        above = Run(run.folder.parent / folder_name(stages, stage.parent), stage.parent, config)
        _require_parent(run, stage.parent, above)
        parent = _local(load_for_evaluation(above, config), config, questions)
    return questions, stage.answerer(benchmark, run.folder, parent)


def _require_parent(run: Run, name: str, above: Run) -> None:
    """Check that the weights behind a run's answers are those that it is recorded with.

    Raises:
      ValueError: its parent's folder holds others now.
    """
    recorded = run.record().get("made_from", {}).get("parents", {}).get(name)
    found = above.record().get("checkpoint_digest")
    if recorded not in (None, found):
        raise ValueError(
            f"{above.folder}: holds weights {str(found)[:12]}, but {run.folder} was made for "
            f"weights {recorded[:12]}; put them back, or delete {run.folder} and run this again"
        )


def _local(loaded: Loaded, config, questions: Questions) -> LocalModel:
    return LocalModel(loaded, rows=config.evaluation.rows, refuse_long=questions.refuse_long)


def measure_efficiency(run: Run, config, system: System, benchmark) -> None:
    """Measure what answering costs a run's model, and add it to the results; a run that answers
    without a model of its own, or was measured before, is passed over.

    It is measured when nothing else runs, so not as a part of ``evaluate``.
    """
    path = evaluation_folder(run, system, config) / EFFICIENCY
    if path.is_file() or find(system.stages(config), run.method).answerer is not None:
        return
    loaded = load_for_evaluation(run, config)
    rounds = system.questions(config, benchmark, loaded.family).rounds
    measured = measure(loaded, rounds)
    if is_first():
        write_json(path, measured)
    wait_for_all(f"{path} is written")
    evaluate(run, config, system, benchmark)  # asks nothing: the replies are there


def write_results(folder: Path, entry: dict, benchmark: str, axes: tuple[str, ...]) -> None:
    """Write the scores of one evaluation, and the results of all evaluations next to it."""
    write_json(folder / "scores.json", entry)
    entries = [read_json(path) for path in sorted(folder.parent.glob("*/scores.json"))]
    results = {
        "schema": 1,
        "benchmark": benchmark,
        "axes": list(axes),
        "runs": entries,
        "environment": environment(),
    }
    write_json(folder.parent / "results.json", results)
