"""Time training, decoding, scoring and a whole evaluation next to transformers and peft, on one
device, after checking that both compute the same. Weights are random, of the sizes of the config.

The peer uses the device first and releases it; then our code uses it. Each runs on one device.
"""

import gc
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import jax
import optax
from absl import flags
from rich.console import Console
from rich.table import Table

from experiments.bench.measure import Ours, compare, measure_machine
from experiments.bench.workload import Figure, Workload
from experiments.common import DRY_RUN, define_path, get_config, note, run, say
from experiments.planning import end_of_plan, planned_data
from mllm.benchmarks import get_benchmark
from mllm.checkpoints.hf_folder import write_folder
from mllm.files import write_json
from mllm.parallel.mesh import make_mesh, one_device
from mllm.parallel.place import place
from mllm.studies.environment import environment
from mllm.studies.start import fresh_model, prepare
from mllm.training.compiled import COMPILED

OUT = define_path("out", "JSON file to write all numbers to")
REPEATS = flags.DEFINE_integer("repeats", 5, "how often each piece of work is timed")


def main(_):
    config, result = get_config(), {}
    if DRY_RUN.value:
        planned_data(config, made=True)
        peer = "transformers and peft, then " if find_spec("torch") else ""
        say(f"times {peer}our code on one device, {REPEATS.value} repeats of each piece of work")
        say(f"writes {OUT.value or 'nothing'}")
        end_of_plan()
        return
    for result in measure(config, REPEATS.value):
        if OUT.value is not None:  # keep what is measured, whatever happens next
            write_json(OUT.value, result)
    show(result)


def measure(config, repeats: int) -> Iterator[dict]:
    """Yield the results so far after each line: {"equal", "machine", "lines", "compile",
    "environment", "peer"}; see ``experiments.bench.measure``. Without torch "peer" is None, and
    only our code is measured.
    """
    benchmark = prepare(get_benchmark(config.benchmark.name), config, note)
    # The peer has the device to itself; until it is done, our weights stay on the host.
    host = make_mesh(devices=jax.devices("cpu")[:1])
    loaded = fresh_model(config, benchmark, host)
    cast = jax.jit(partial(optax.tree.cast, dtype=loaded.config.dtype))
    loaded = replace(loaded, variables=cast(loaded.variables))
    work = Workload(config, replace(loaded, variables={}), benchmark)
    answers, figures, versions = ask_peer(work, loaded, repeats)
    loaded = replace(loaded, variables=place(loaded.variables, one_device()))
    machine = measure_machine(config.bench.small, repeats)
    result = {
        "equal": compare(work, loaded, answers) if answers else {},
        "machine": asdict(machine),
        "environment": environment(),
        "peer": versions,
        "lines": [],
    }
    ours = Ours(work, loaded, repeats, machine)
    del loaded
    for line in ours.lines(figures):
        result["lines"].append(line)
        yield {**result, "compile": COMPILED.counts()}


def ask_peer(work: Workload, loaded, repeats: int) -> tuple[dict, dict[str, Figure], dict | None]:
    """Return (what our results must equal, figures, versions) of the peer on the same weights."""
    if find_spec("torch") is None:
        return {}, {}, None
    from experiments.bench import peer as published

    with tempfile.TemporaryDirectory() as folder:
        write_folder(Path(folder) / "peer", loaded)
        peer = published.Peer(Path(folder) / "peer", loaded.config.dtype)
    found = published.answers(peer, work), published.figures(peer, work, repeats)
    versions = peer.environment()
    del peer
    gc.collect()
    published.torch.cuda.empty_cache()
    return *found, versions


def show(result: dict) -> None:
    """Print the tables."""
    console, machine = Console(width=150), result["machine"]
    print(
        f"matrix products {machine['flops'] / 1e12:.2f} TFLOP/s, copies "
        f"{machine['bytes'] / 1e9:.1f} GB/s ({machine['device']})"
    )
    for name, found in result["equal"].items():
        print(f"equal: {name}, {found['difference']:.2g} of at most {found['tolerance']:g}")
    table = Table("work", "unit", "ours", "peer", "ratio", "peer's best", "tokens/s", "share", "GB")
    for line in result["lines"]:
        ours, peer = line["ours"], line["peer"]
        table.add_row(
            line["work"],
            line["unit"],
            _spread(ours),
            "-" if peer is None else _spread(peer),
            "-" if peer is None else f"{line['ratio']:.1f}",
            "-" if peer is None else peer["setting"],
            _number(line["tokens_per_s"]) if "tokens_per_s" in line else "-",
            f"{line['share']:.0%} {line['share_of']}" if "share" in line else "-",
            " / ".join(_gigabytes(figure) for figure in (ours, peer) if figure),
        )
    console.print(table)


def _spread(figure: dict) -> str:
    least, most = _number(figure["least"]), _number(figure["most"])
    return f"{_number(figure['rate'])} ({least}-{most})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _gigabytes(figure: dict) -> str:
    return "-" if figure["memory"] is None else f"{figure['memory'] / 1e9:.2f}"


if __name__ == "__main__":
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # the peer is first
    run(main)
