"""Time training, decoding, scoring and a whole evaluation beside transformers and peft on the same
machine, after checking that both compute the same. Weights are random, of the sizes of the config.
"""

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
from absl import flags
from rich.console import Console
from rich.table import Table

from experiments import stages
from experiments.common import environment, get_config, run
from experiments.measure import Bench
from experiments.prepare import prepare
from mllm.checkpoints.hf_folder import write_folder
from mllm.files import write_json
from mllm.training.compiled import COMPILED

OUT = flags.DEFINE_string("out", None, "JSON file for every number")
REPEATS = flags.DEFINE_integer("repeats", 5, "times that each piece of work is timed")


def main(_):
    config = get_config()
    result = measure(config, REPEATS.value)
    show(result)
    if OUT.value is not None:
        write_json(Path(OUT.value), result)


def measure(config, repeats: int) -> dict:
    """{"equal", "machine", "lines", "compile", "environment"}; see ``experiments.measure``."""
    prepare(config)
    benchmark = stages.open_benchmark(config)
    loaded = stages.fresh_model(config, benchmark, stages.device_mesh(config))
    cast = jax.jit(partial(jax.tree.map, lambda leaf: leaf.astype(loaded.config.dtype)))
    loaded = replace(loaded, variables=cast(loaded.variables))
    with tempfile.TemporaryDirectory() as folder:
        peer = _peer(loaded, Path(folder) / "peer")
        bench = Bench(config, loaded, benchmark, peer, repeats)
        equal, machine = bench.equality(), bench.machine()
        lines = [*bench.training(), *bench.generation(), *bench.choices(), *bench.evaluation()]
    return {
        "equal": equal,
        "machine": machine,
        "lines": lines,
        "compile": COMPILED.told(),
        "environment": environment(),
    }


def _peer(loaded, folder: Path):
    try:
        from experiments.peer import Peer
    except ModuleNotFoundError:  # without torch ours is measured alone
        return None
    write_folder(folder, loaded)
    return Peer(folder, loaded.config.dtype)


def show(result: dict) -> None:
    """The tables."""
    console, machine = Console(width=140), result["machine"]
    print(
        f"matrix products {machine['matmul_tflops']:.2f} TFLOP/s, copies "
        f"{machine['copy_gb_per_s']:.1f} GB/s ({machine['device']})"
    )
    for name, difference in result["equal"].items():
        print(f"equal: {name}, largest difference {difference:.2g}")
    table = Table("work", "unit", "ours", "peer", "ratio", "peer's best", "share", "GB")
    for line in result["lines"]:
        table.add_row(
            line["work"],
            line["unit"],
            f"{line['ours']:.4g} ({line['least']:.4g}-{line['most']:.4g})",
            "-" if line["peer"] is None else f"{line['peer']:.4g}",
            "-" if line["ratio"] is None else f"{line['ratio']:.1f}",
            line.get("peer_setting", ""),
            line.get("share", ""),
            "-" if line.get("memory") is None else f"{line['memory'] / 1e9:.2f}",
        )
    console.print(table)
    told = result["compile"]
    print(f"compiled {told['programs']} programs in {told['seconds']} s, {told['hits']} from disk")


if __name__ == "__main__":
    run(main)
