"""Ask a finished run what its benchmark asks, score the replies and write the results."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from mllm.checkpoints.folder import load_model
from mllm.checkpoints.loaded import Loaded
from mllm.decoding.split import split_for_decoding
from mllm.evaluation.runner import LocalModel
from mllm.evaluation.store import ask
from mllm.files import read_json, write_json
from mllm.ops.lora import merge_lora
from mllm.ops.quant import quantise
from mllm.parallel.launch import is_first, wait_for_all
from mllm.parallel.place import place
from mllm.registry import lookup
from mllm.studies.environment import environment
from mllm.studies.run import Run
from mllm.studies.start import device_mesh
from mllm.studies.system import System
from mllm.training.progress import counted

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
    """
    record, folder = run.record(), evaluation_folder(run, system, config)
    loaded = load_for_evaluation(run, config)
    manifest = {
        "checkpoint_digest": record["checkpoint_digest"],
        "data_fingerprint": benchmark.fingerprint,
        "system_prompt": loaded.system_prompt,
        "processor": loaded.processor.digest,
    }
    questions = system.questions(config, benchmark, loaded.family)
    model = LocalModel(loaded, rows=config.evaluation.rows, refuse_long=questions.refuse_long)
    progress = counted(f"evaluate {run.folder.name}, {protocol_name(config)}")
    records = ask(questions, {"subject": model}, folder, manifest, progress=progress)
    entry = {
        "method": run.method,
        "seed": record["seed"],
        **system.labels(config),
        "checkpoint_digest": record["checkpoint_digest"],
        "protocol": protocol_name(config),
        "scores": system.score(records, config),
        "cost": record.get("cost", {}),
    }
    if is_first():
        write_results(folder, entry, config.benchmark.name, system.AXES)
    wait_for_all(f"{folder} is scored")
    return entry


def write_results(folder: Path, entry: dict, benchmark: str, axes: tuple[str, ...]) -> None:
    """Write the scores of one evaluation, and the results of all evaluations beside it."""
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
