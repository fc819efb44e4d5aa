"""Compile the unlearning step and the evaluation of a configuration for devices that are not
attached, and report what they cost each device. --table FILE writes the table of the documentation.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import jax
from absl import flags

from experiments import abstract
from experiments.common import DRY_RUN, define_path, get_config, run, say
from experiments.planning import end_of_plan
from mllm.files import read_json, write_json, write_text
from mllm.parallel.mesh import make_mesh, one_device
from mllm.parallel.program import collectives_of, flops_of, memory_of
from mllm.parallel.topology import GIB, TOPOLOGIES, compile_fast, devices_of
from mllm.parallel.traffic import traffic_of
from mllm.studies.environment import digest

TOPOLOGY = flags.DEFINE_string(
    "topology", None, f"{', '.join(TOPOLOGIES)}, or local for the attached devices"
)
ROWS = flags.DEFINE_integer(
    "rows", 0, "rows of a step, pictures of an evaluation; 0: two per device"
)
TABLE = define_path("table", "write the table of configs/bench to this file")

MODELS = {
    "LLaVA-1.5-7B": "configs.bench.llava7b",
    "Idefics2-8B": "configs.bench.idefics2_8b",
    "LLaVA-NeXT-Mistral-7B": "configs.bench.llava_next7b",
    "CLIP-L, DINOv2-L and SigLIP-SO400M, fused, 7B": "configs.bench.fused7b",
}
METHODS = ("ga", "npo", "kl_min")
COMPARED = ("v5e:4x4", "v5p:2x2x2", "v6e:4x4")
GROWING = ("v5e:4x4", "v5e:8x8", "v5e:16x16")
GPU = "h100:1"
KINDS = {"lora": "LoRA", "params": "all", "": "-"}
READ = ("options", "optimizer", "clip", "trainable")  # what a program takes from a schedule


PAGE = """# Does it fit?

`make fits` (`python -m experiments.fits --table docs/fits.md`) compiled these programs ahead of
time, for TPUs and one GPU that were not attached, with {versions}. Rows have 1024
tokens, with one row or one picture per chip, in the shapes of `configs/bench`; those of LLaVA-NeXT
have 3328 tokens, of which its largest picture takes 2928; those of the model of three encoders
hold what these made of the picture, and the instruction under which it is read has 64 tokens.
Weights are split over `fsdp`, and the backward pass recomputes the activations of a layer. The base
is bfloat16 and adapters are float32; if all weights train, they are float32. The figures are per
chip: GiB of memory, TFLOP of matrix products and GiB delivered by collectives, for one step or one
group of pictures; generation counts all the tokens that it may write. Nothing was run, so there are
no times. With jax 0.10 the compiler of TPUs runs with the least effort
(`exec_time_optimization_effort` -1). For a smaller model this gave temporaries 2 % larger than in
the fastest program, and different collectives. Collectives are read from the compiled text; the
reader was checked on small programs, not against a closed form at this size.

{compiled} of {wanted} cells are compiled; `make fits` compiles the others.

For NVIDIA GPUs, `--topology h100:1` (to `h100:8`) compiles with jax's compiler for CUDA, which
`make test` or `make .venv/.installed-gpu` puts into `.venv/gpu`; it needs neither a GPU nor a CUDA
library. Attention is cuDNN's where a GPU would use it, and all products are cuBLAS's, since
Triton's are chosen by timing them. `--topology local` compiles for the attached devices. For a GPU
the traffic of memory is estimated from the text: each kernel reads its operands and writes its
results once. `remat="auto"` is compiled as what keeps nothing; a run chooses by its own memory.
"""
GROWTH = """## From 16 to 256 chips

One row per chip: the batch grows with the number of chips.
"""


@dataclass(frozen=True)
class Cell:
    """One program to compile: a method's step, or the evaluation, of a model on a topology."""

    model: str
    method: str
    trainable: str
    topology: str


def main(_):
    if TOPOLOGY.value != "local":
        # Programs for devices that are not attached can be kept on disk, but not read back.
        jax.config.update("jax_enable_compilation_cache", False)
    if DRY_RUN.value:
        dry_run()
        return
    if TABLE.value is not None:
        write_table(TABLE.value)
        return
    config, topology = get_config(), required_topology()
    for name in (config.objective.name, "evaluation"):
        for setting, found in ladder(config, name, topology, ROWS.value):
            say(f"{name}, {setting}: {summary_line(found)}")


def required_topology() -> str:
    """Return --topology.

    Raises:
      ValueError: it was not given.
    """
    if TOPOLOGY.value is None:
        raise ValueError(f"--topology is missing; known: {', '.join(TOPOLOGIES)}, local")
    return TOPOLOGY.value


def dry_run() -> None:
    """Print what would be compiled."""
    if TABLE.value is not None:
        say(f"compiles what docs/fits.json lacks, and writes {TABLE.value} and docs/fits.json")
    else:
        config, topology = get_config(), required_topology()
        for name in (config.objective.name, "evaluation"):
            settings = ", or else ".join(map(str, _settings(config, topology, ROWS.value)))
            say(f"compiles {name} for {settings}")
    end_of_plan()


@dataclass(frozen=True)
class Setting:
    """What a program is compiled for."""

    topology: str
    rows: int
    recomputes: bool = False  # recompute all activations, if the configuration keeps some

    def __str__(self):
        tail = ", all activations computed again" if self.recomputes else ""
        return f"{self.rows} rows on {self.topology}{tail}"


def ladder(config, method: str, topology: str, rows: int = 0) -> Iterator[tuple[Setting, dict]]:
    """Yield (setting, result of ``compile_for``) until the program fits or nothing is left to try.

    Rows are halved down to one per device that takes rows; then all activations are recomputed;
    then larger topologies of the same chips are tried, whose devices hold less of the weights.
    """
    for setting in _settings(config, topology, rows):
        chosen = _recomputing(config) if setting.recomputes else config
        found = compile_for(chosen, method, setting.topology, setting.rows)
        yield setting, found
        if found["fits"]:
            return


def _settings(config, topology: str, rows: int) -> Iterator[Setting]:
    devices = len(devices_of(topology)[0])
    least = max(1, devices // config.mesh.tensor)
    rows = rows or 2 * least
    while rows > least:
        yield Setting(topology, rows)
        rows = max(least, rows // 2)
    yield Setting(topology, rows)
    recomputes = _recomputing(config) != config
    if recomputes:
        yield Setting(topology, rows, recomputes)
    chips = topology.partition(":")[0]
    for larger in (name for name in TOPOLOGIES if name.partition(":")[0] == chips):
        count = len(devices_of(larger)[0])
        if count > devices:
            yield Setting(larger, max(1, count // config.mesh.tensor), recomputes)


def _recomputing(config):
    changed = config.copy_and_resolve_references()
    for part in ("decoder", "vision"):
        if "encoders" not in changed.model[part]:  # each of which says so itself
            changed.model[part].remat = "nothing"
    return changed


def compile_for(config, method: str, topology: str, rows: int) -> dict:
    """Compile a method's step, or "evaluation", for ``rows`` rows (pictures) on a topology.

    Returns:
      {"fits", "memory" of a device in bytes, "seconds" of compiling} and either "error", where the
      compiler ran out of memory, or of each device "arguments", "temporaries", "outputs", "peak"
      (bytes), "flops" and "collectives" (bytes by kind). Of several programs the largest memory
      counts, and the sum of operations.
    """
    devices, memory = devices_of(topology)
    mesh, began = make_mesh(**config.mesh, devices=devices), time.monotonic()
    try:
        costs = list(_costs(config, method, mesh, rows))
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return {
            "fits": False,
            "memory": memory,
            "error": str(error).partition("\n")[0][:300],
            "seconds": round(time.monotonic() - began, 1),
        }
    names = ("arguments", "temporaries", "outputs", "peak")
    largest = max(costs, key=lambda cost: cost["peak"])
    kinds = {kind for cost in costs for kind in cost["collectives"]}
    traffic = [Counter(cost["traffic"]) for cost in costs if "traffic" in cost]
    return {
        **({"traffic": dict(sum(traffic, Counter()))} if traffic else {}),
        **{name: largest[name] for name in names},
        "flops": sum(cost["flops"] for cost in costs) // len(devices),
        "collectives": {k: sum(c["collectives"].get(k, 0) for c in costs) for k in sorted(kinds)},
        "fits": largest["peak"] <= memory,
        "memory": memory,
        "seconds": round(time.monotonic() - began, 1),
    }


def _costs(config, method: str, mesh, rows: int) -> Iterator[dict]:
    # Kernels hide their products, so these are counted in programs for a CPU, which has no kernels.
    here, chip = one_device(), mesh.devices.flat[0]
    if method != "evaluation":
        step, arguments = abstract.training_step(config, method, mesh, rows)
        counted, same = abstract.training_step(config, method, here, rows)
        compiled, flops = compile_fast(step.lower(*arguments), chip), flops_of(counted, *same)
        yield _cost(compiled, flops, traffic=chip.platform == "gpu")
        return
    counted = abstract.evaluation_calls(config, here, rows)
    for name, call in abstract.evaluation_calls(config, mesh, rows).items():
        program, arguments, options = call
        function, (model, shape, *arrays), _ = counted[name]
        flops = flops_of(partial(partial(function, model, shape), **options), *arrays)
        compiled = compile_fast(program.lower(*arguments, **options), chip)
        yield _cost(compiled, flops, traffic=chip.platform == "gpu")


def _cost(compiled, flops: int, *, traffic: bool) -> dict:
    text = compiled.as_text()
    cost = {**memory_of(compiled), "flops": flops, "collectives": collectives_of(text)}
    return {**cost, "traffic": asdict(traffic_of(text))} if traffic else cost


def summary_line(found: dict) -> str:
    """Return a line about a compiled program."""
    verdict = "fits" if found["fits"] else "does not fit"
    room = found["memory"] / GIB
    if "error" in found:
        return f"{verdict} {room:.0f} GiB: {found['error']}"
    parts = [f"{n} {found[n] / GIB:.2f}" for n in ("arguments", "temporaries", "outputs")]
    wires = ", ".join(f"{k} {v / GIB:.2f}" for k, v in found["collectives"].items()) or "none"
    if read := found.get("traffic"):
        kernels = f"{read['kernels']:,} kernels, {read.get('products', 0):,} of them products"
        wires += f"; estimated traffic {read['bytes'] / GIB:,.1f} GiB by {kernels}"
    return (
        f"{verdict}: peak {found['peak'] / GIB:.2f} of {room:.0f} GiB a device "
        f"({', '.join(parts)}); {found['flops'] / 1e12:.2f} TFLOP; collectives, GiB: {wires}"
    )


def cells() -> list[Cell]:
    """Return what the table holds, the most important first. Evaluations, whose layers are compiled
    one by one, come after the training steps of their model.
    """
    kinds = ("lora", "params")

    def steps(model: str) -> list[Cell]:
        return [Cell(model, m, kind, t) for t in COMPARED for kind in kinds for m in METHODS]

    def evaluations(model: str) -> list[Cell]:
        return [Cell(model, "evaluation", "", topology) for topology in COMPARED]

    llava, idefics2, following, fused = MODELS
    growing = [Cell(llava, "npo", kind, topology) for kind in kinds for topology in GROWING]
    wanted = [
        *steps(llava),
        *growing,
        *evaluations(llava),
        *steps(idefics2),
        *evaluations(idefics2),
        Cell(following, "npo", "lora", GPU),
        Cell(following, "evaluation", "", GPU),
        Cell(fused, "nll", "fusion+projector", GPU),
        Cell(fused, "nll", "fusion+projector+lora", GPU),
        Cell(fused, "evaluation", "", GPU),
    ]
    return list(dict.fromkeys(wanted))


def write_table(path: Path) -> None:
    """Compile what the JSON file next to ``path`` does not hold yet, and write the page.

    A cell and the page are written before the next cell is compiled, so a stopped run can continue,
    and its page says what is missing.
    """
    kept = path.with_suffix(".json")
    known = read_json(kept) if kept.is_file() else {}
    keys = {cell: key_of(cell, _config_of(cell)) for cell in cells()}
    for number, (cell, key) in enumerate(keys.items(), 1):
        write_text(path, page({cell: known.get(key) for cell, key in keys.items()}))
        if key in known:
            continue
        rows = len(devices_of(cell.topology)[0])
        print(f"[{number}/{len(keys)}] {cell}", file=sys.stderr, flush=True)
        (_, found), *tried = ladder(_config_of(cell), cell.method, cell.topology, rows)
        nearest = next((str(setting) for setting, other in tried if other["fits"]), None)
        known[key] = {"rows": rows, **found, "nearest": nearest}
        write_json(kept, known)
    write_text(path, page({cell: known[key] for cell, key in keys.items()}))


def key_of(cell: Cell, config) -> str:
    """Return the name of a compiled cell: a digest of the parts of its configuration that determine
    the program, and of the versions of jax and of the compiler.
    """
    parts = [config[name].to_dict() for name in ("model", "rows", "lora", "mesh")]
    stage = config.methods[cell.method].to_dict() if cell.method in config.methods else {}
    stage = {name: stage[name] for name in READ if name in stage}
    return digest([vars(cell), parts, stage, versions()])[:16]


def versions() -> str:
    """Return what compiled programs depend on besides their configuration."""
    return f"jax {jax.__version__}, libtpu {version('libtpu')}"


def _config_of(cell: Cell):
    config = import_module(MODELS[cell.model]).get_config()
    if cell.trainable:
        config.methods[cell.method].trainable = cell.trainable
    return config


def page(found: dict[Cell, dict | None]) -> str:
    """Return the table as Markdown; None is a cell that is not compiled yet."""
    compiled = sum(cost is not None for cost in found.values())
    lines = [PAGE.format(versions=versions(), compiled=compiled, wanted=len(found))]
    for model in MODELS:
        lines += [f"## {model}", "", *_rows_of(found, model, (*COMPARED, GPU)), ""]
    lines += [GROWTH, *_rows_of(found, "LLaVA-1.5-7B", GROWING, methods=("npo",))]
    return "\n".join(lines) + "\n"


def _rows_of(found, model: str, topologies, methods=(*METHODS, "nll", "evaluation")) -> list[str]:
    head = "| program | weights | topology | memory | of it arguments | peak | fits | TFLOP |"
    lines = [f"{head} collectives |", "|---|---|---|---:|---:|---:|---|---:|---|"]
    for cell, cost in found.items():
        if cell.model != model or cell.topology not in topologies or cell.method not in methods:
            continue
        kind = KINDS.get(cell.trainable, cell.trainable.replace("+", ", ").replace("lora", "LoRA"))
        if cost is None:
            row = [cell.method, kind, cell.topology, "not compiled yet", *[""] * 5]
            lines.append(f"| {' | '.join(row)} |")
            continue
        row = [cell.method, kind, f"{cell.topology}, {cost['rows']} rows"]
        row.append(f"{cost['memory'] / GIB:.0f}")
        nearest = cost.get("nearest")
        verdict = "yes" if cost["fits"] else f"no; {nearest} does" if nearest else "no"
        if "error" in cost:
            row += ["-", "-", verdict, "-", cost["error"].replace("|", " ")]
        else:
            wires = [f"{k} {v / GIB:.2f}" for k, v in cost["collectives"].items()]
            row += [f"{cost['arguments'] / GIB:.2f}", f"{cost['peak'] / GIB:.2f}"]
            row += [verdict, f"{cost['flops'] / 1e12:.2f}"]
            row.append(", ".join(wires) or "none")
        lines.append(f"| {' | '.join(row)} |")
    return lines


if __name__ == "__main__":
    run(main)
