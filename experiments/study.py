"""Runs of a workdir in the order they need each other: base -> vanilla and retain_only -> the
methods -> their scores.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

from experiments import stages
from experiments.common import environment
from experiments.runs import Run
from mllm.checkpoints.folder import Loaded, load_model
from mllm.decoding.serve import serve
from mllm.evaluation.paper import collect_paper_replies, paper_items
from mllm.evaluation.paper_prompts import PaperProtocol
from mllm.evaluation.protocol import Protocol
from mllm.evaluation.runner import collect_replies, items_of
from mllm.evaluation.scores import score_replies
from mllm.files import read_json, write_json
from mllm.ops.lora import merge_lora
from mllm.ops.quant import quantise
from mllm.parallel.launch import is_first, wait_for_all
from mllm.parallel.place import place
from mllm.registry import lookup
from mllm.training.progress import Progress
from mllm.unlearning import get_objective


def run_name(method: str, config) -> str:
    """Folder name of a run; what is taught to all is the same for every forget split.

    A variant names runs of the chosen method, never those that it starts from.
    """
    if method in ("pretrained", "base", "vanilla"):
        return method
    chosen = method == config.objective.name and method not in stages.TAUGHT
    variant = f"_{config.objective.variant}" if chosen and config.objective.variant else ""
    return f"{method}{variant}_{config.benchmark.forget}"


def ensure(method: str, config, workdir: Path, benchmark, *, folder: Path | None = None) -> Run:
    """Train a run, and first what it starts from, unless it is finished; go on where it was
    stopped.
    """
    run = Run(folder or workdir / run_name(method, config), method, config)
    parents = [ensure(name, config, workdir, benchmark) for name in needed(method, config)]
    digests = [parent.record()["checkpoint_digest"] for parent in parents]
    identity = run.identity(benchmark.fingerprint, digests)
    if run.finished(identity):
        return run
    run.write("running", identity=identity, data_fingerprint=benchmark.fingerprint)
    mesh = stages.device_mesh(config)
    loaded = [load_model(parent.folder, mesh=mesh) for parent in parents]
    if method == "pretrained":
        stages.import_pretrained(run)
    elif method in stages.TAUGHT:
        stages.teach(run, loaded[0] if loaded else None, benchmark)
    else:
        stages.unlearn(run, loaded[0], loaded[1] if len(loaded) > 1 else None, benchmark)
    return run


def needed(method: str, config) -> list[str]:
    """The runs a run needs: what it starts from, then the retain-only model where its reference is
    that.
    """
    first = stages.parent_name(method, config)
    if first is None:
        return []
    if method not in config.methods:
        return [first]
    objective = get_objective(method, **config.methods[method].options)
    return [first, "retain_only"] if objective.reference == "retain_only" else [first]


def evaluation_folder(run: Run, config) -> Path:
    """Where the replies on a forget split go, a folder for each protocol and form of weights:
    ``eval/<protocol>/forget_<N>``, with int8 weights ``eval/<protocol>-int8/forget_<N>``.
    """
    protocol, weights = config.evaluation.protocol, config.evaluation.weights
    name = f"{protocol}-{weights}" if weights else protocol
    return run.folder / "eval" / name / f"forget_{config.benchmark.forget}"


def evaluate(run: Run, config, benchmark) -> dict:
    """Ask and score a finished run on the four sets of its forget split; returns its results entry.

    Writes ``eval/<protocol>/forget_<N>/`` (replies, scores) and ``eval/<protocol>/results.json``
    (all splits so far); a run may be evaluated under several protocols, side by side. With int8
    weights the protocol of the folders and of the entry is ``<protocol>-int8``, so that no report
    takes its scores for those of the weights as saved.
    """
    record, forget = run.record(), config.benchmark.forget
    protocol = config.evaluation.protocol
    ask = lookup(ASK, protocol, "protocol (config.evaluation.protocol)")
    form = lookup(FORMS, config.evaluation.weights, "weights (config.evaluation.weights)")
    folder = evaluation_folder(run, config)
    root = folder.parent
    mesh = stages.device_mesh(config)
    loaded: Loaded = load_model(run.folder, mesh=mesh)
    # Merged, every run of a study is evaluated by the programs that were compiled for the first.
    merged = place(merge_lora(loaded.variables), mesh)
    loaded = replace(loaded, variables=serve(place(form(merged), mesh), give_up=True))
    manifest = {
        "checkpoint_digest": record["checkpoint_digest"],
        "data_fingerprint": benchmark.fingerprint,
        "system_prompt": loaded.system_prompt,
        "tuning": config.tuning,
    }
    replies = ask(loaded, config, benchmark, folder, manifest, f"evaluate {run.folder.name}")
    entry = {
        "method": run.method,
        "seed": record["seed"],
        "forget": forget,
        "checkpoint_digest": record["checkpoint_digest"],
        "protocol": root.name,
        "scores": score_replies(replies, protocol=protocol),
        "cost": record.get("cost", {}),
    }
    if is_first():
        write_json(folder / "scores.json", entry)
        entries = [read_json(path) for path in sorted(root.glob("forget_*/scores.json"))]
        results = {"schema": 1, "benchmark": config.benchmark.name, "runs": entries}
        write_json(root / "results.json", {**results, "environment": environment()})
    wait_for_all(f"{folder} is scored")
    return entry


def _ask_strict(loaded, config, benchmark, folder, manifest, title) -> list[dict]:
    options = {
        k: v for k, v in config.evaluation.items() if k not in ("protocol", "paper", "weights")
    }
    items = items_of(stages.evaluation_sets(config, benchmark))
    progress = Progress(title, len(items))
    return collect_replies(loaded, items, Protocol(**options), folder, manifest, progress)


def _ask_paper(loaded, config, benchmark, folder, manifest, title) -> list[dict]:
    protocol = PaperProtocol(**config.evaluation.paper).for_family(loaded.family)
    pool = benchmark.profiles("full")
    if config.tuning:  # the people to forget are others then, with facts of their own
        pool = pool + benchmark.profiles("validation")
    items = paper_items(stages.evaluation_sets(config, benchmark), pool, protocol)
    progress = Progress(f"{title} (paper)", len(items))
    return collect_paper_replies(loaded, items, protocol, folder, manifest, progress)


ASK = {"strict": _ask_strict, "paper": _ask_paper}
FORMS = {"": lambda variables: variables, "int8": partial(quantise, give_up=True)}
