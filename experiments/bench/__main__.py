"""Time training, decoding, scoring and a whole evaluation next to transformers and peft, on one
device, after checking that both compute the same. Weights are random, of the sizes of the config.

    python -m experiments.bench --config configs/bench/llava7b.py --out bench.json
    python -m experiments.bench --config configs/bench/llava7b.py --no-equal --budget_s 540 \
        --out bench.json                        # what one call of ten minutes measures at most
    python -m experiments.bench --config configs/bench/llava7b.py --no-equal --merge bench.json \
        --out bench.json                        # the rest

The peer uses the device first and releases it; then our code uses it. Each runs on one device.
Every figure is printed and written as soon as it is measured.
"""

import gc
import os
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import jax
from absl import flags

from experiments.bench import weights
from experiments.bench.lines import (
    SETUP,
    SIDES,
    Budget,
    Line,
    Piece,
    budget_of,
    lines_of,
    select,
)
from experiments.bench.measure import Ours, compare, measure_machine
from experiments.bench.results import merge, new_result, require_same_peer
from experiments.bench.show import progress, show
from experiments.bench.workload import Workload
from experiments.common import DRY_RUN, define_path, get_config, note, run, say
from experiments.planning import end_of_plan, planned_data
from mllm.benchmarks import get_benchmark
from mllm.checkpoints.hf_config_export import write_config
from mllm.checkpoints.hf_folder import write_folder
from mllm.files import write_json
from mllm.parallel.mesh import one_device
from mllm.parallel.place import place
from mllm.studies.start import described_model, prepare
from mllm.training.compiled import COMPILED

OUT = define_path("out", "JSON file to write all numbers to, after each of them")
REPEATS = flags.DEFINE_integer("repeats", 5, "how often each piece of work is timed")
ONLY = flags.DEFINE_list("only", [], "sides (ours, peer) and lines to measure; default: all")
BUDGET = flags.DEFINE_float(
    "budget_s", None, "seconds in all: less valuable lines that do not fit stay unmeasured"
)
NO_EQUAL = flags.DEFINE_bool(
    "no-equal", False, "time alone: do not check that both sides compute the same; faster to begin"
)
MERGE = flags.DEFINE_list(
    "merge", [], "results of other calls on the same kind of device, with the same code"
)
TRACE = define_path("trace", "folder for traces of our lines; prints where their time goes")
WHOLE = ("training", "attention")  # kinds of lines that leave the stacks of layers whole


def main(_):
    config = get_config()
    if "bench" not in config:
        raise ValueError("--config: nothing says what to measure; give a file of configs/bench")
    lines = lines_of(config.bench)
    pieces = select(lines, ONLY.value)
    if find_spec("torch") is None:
        pieces = [(name, side) for name, side in pieces if side == "ours"]
    result = new_result(config, lines)
    for path in MERGE.value:
        merge(result, Path(path))
    pieces = [(name, side) for name, side in pieces if result["lines"][name][side] is None]
    budget = budget_of(BUDGET.value, config.bench, lines, pieces)
    if DRY_RUN.value:
        dry_run(config, budget)
        return
    equal, trace = not NO_EQUAL.value, TRACE.value
    for found in measure(config, result, pieces, budget, REPEATS.value, equal=equal, trace=trace):
        if OUT.value is not None:  # keep what is measured, whatever happens next
            write_json(OUT.value, found)
    show(result)
    if failed := [f"{name} ({', '.join(line['failed'])})" for name, line in failing(result)]:
        raise ValueError(f"could not be measured: {', '.join(failed)}; see the errors above")


def failing(result: dict) -> list[tuple[str, dict]]:
    """Return the lines of which a side failed."""
    return [(name, line) for name, line in result["lines"].items() if line.get("failed")]


def dry_run(config, budget: Budget) -> None:
    """Print the pieces in the order of their value, with the time that each is expected to take."""
    planned_data(config, made=True)
    say(f"on one device, {REPEATS.value} repeats of each piece, the most valuable first:")
    total, limit = 0.0, float("inf") if budget.seconds is None else budget.seconds
    for (name, side), seconds in budget.expected.items():
        total += seconds
        fits = "" if total <= limit else "; does not fit"
        say(f"  {side:4} {name}: about {seconds:.0f} s, {total:.0f} s in all{fits}")
    say(f"writes {OUT.value or 'nothing'}")
    end_of_plan()


def measure(
    config,
    result: dict,
    pieces: list[Piece],
    budget: Budget,
    repeats: int,
    *,
    equal: bool = True,
    trace: Path | None = None,
) -> Iterator[dict]:
    """Measure pieces that the budget allows, and yield ``result`` after each.

    Whether both sides compute the same is checked if both are measured and ``equal`` is true.
    """
    lines = lines_of(config.bench)
    benchmark = prepare(get_benchmark(config.benchmark.name), config, note)
    described = described_model(config, benchmark)
    work = Workload(config, described, benchmark)
    mine, theirs = ([name for name, found in pieces if found == side] for side in SIDES[::-1])
    equal = equal and bool(mine) and bool(theirs) and result["equal"] is None
    # To be equal, weights are made once; until the peer is done, ours stay on the host.
    loaded = weights.on_host(config, benchmark) if equal else described
    answers = {}
    if theirs and allowed(budget, (SETUP, "peer")):
        answers = yield from measure_peer(work, loaded, result, lines, theirs, budget, repeats)
    if not mine or not allowed(budget, (SETUP, "ours")):
        return
    began = time.monotonic()
    if equal:
        loaded = replace(loaded, variables=place(loaded.variables, one_device()))
    else:
        loaded = weights.on_device(config, benchmark, one_device())
    jax.block_until_ready(loaded.variables)
    machine = measure_machine(config.bench.small, repeats)
    result["calls"][0]["machine"] = asdict(machine)
    if answers:
        result["equal"] = compare(work, loaded, answers)
    ours = Ours(work, loaded, repeats, machine)
    del loaded
    budget.took((SETUP, "ours"), time.monotonic() - began)
    for name in sorted(mine, key=lambda name: lines[name].kind not in WHOLE):
        measure_line = partial(ours.measure, lines[name], trace)
        yield from measure_piece(result, budget, (name, "ours"), measure_line)


def measure_peer(
    work: Workload,
    loaded,
    result: dict,
    lines: dict[str, Line],
    names: list[str],
    budget: Budget,
    repeats: int,
) -> Iterator[dict]:
    """Measure the peer's side of lines, yield ``result`` after each, and return what our results
    must equal; {} if ``loaded`` has no weights: those of the peer are random then.
    """
    from experiments.bench import peer as published

    began, compared = time.monotonic(), bool(loaded.variables)
    dtype = loaded.config.dtype
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "peer"
        if compared:
            write_folder(place, loaded)
        else:
            write_json(place / "config.json", write_config(loaded, dtype)[0])
        peer = published.Peer(place, dtype, weights=compared)
    result["calls"][0]["peer"] = peer.environment()
    require_same_peer(result)
    answers = published.answers(peer, work) if compared else {}
    budget.took((SETUP, "peer"), time.monotonic() - began)
    measurements = published.Measurements(peer, work, repeats)
    for name in names:
        measure_line = partial(measurements.measure, lines[name])
        yield from measure_piece(result, budget, (name, "peer"), measure_line)
    del peer, measurements, measure_line
    gc.collect()
    published.torch.cuda.empty_cache()
    return answers


def measure_piece(result: dict, budget: Budget, piece: Piece, once) -> Iterator[dict]:
    """Measure a piece if the budget allows it, print it and yield ``result``."""
    name, side = piece
    if not allowed(budget, piece):
        return
    began = time.monotonic()
    try:
        figure = once()
    except Exception as error:  # the lines that follow are measured all the same
        failed = f"{type(error).__name__}: {error}".partition("\n")[0][:300]
        result["lines"][name].setdefault("failed", {})[side] = failed
        traceback.print_exc()
        say(f"{name}, {side}: failed, {failed}")
    else:
        if figure is not None:
            result["lines"][name][side] = {**figure, "call": 0}
        say(progress(name, side, figure))
    budget.took(piece, time.monotonic() - began)
    result["calls"][0]["compile"] = COMPILED.counts()
    yield result


def allowed(budget: Budget, piece: Piece) -> bool:
    """Return whether the budget allows a piece, and say so if not."""
    name, side = piece
    if budget.allows(piece):
        return True
    say(
        f"{name}, {side}: not measured, {max(0, budget.left):.0f} s are left and about "
        f"{budget.needed(piece):.0f} s are needed, with lines of more value"
    )
    return False


if __name__ == "__main__":
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # the peer is first
    run(main)
