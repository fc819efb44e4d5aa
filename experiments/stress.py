"""Attack finished runs: round weights, remove adapters, train a few steps more, ask in other forms.

What was done is not done again.

python -m experiments.stress --workdir runs/demo
python -m experiments.stress --workdir runs/study --only 'seed0/*' --attacks rounded_4,relearn_few

Writes stress.json next to the replies of each run; experiments.report shows it.
"""

import time
from fnmatch import fnmatch

from absl import flags
from ml_collections import ConfigDict

from experiments.common import DRY_RUN, define_workdir, note, run, say
from experiments.planning import end_of_plan
from mllm.benchmarks import get_benchmark, get_report
from mllm.reporting import benchmark_name
from mllm.reporting.collect import collect
from mllm.studies.stress import stress

WORKDIR = define_workdir("folder whose finished runs are attacked")
ONLY = flags.DEFINE_list("only", [], "names of runs as seed0/npo_15 or seed0/*; none is all")
ATTACKS = flags.DEFINE_list("attacks", [], "names of attacks; none is all")
STEPS = flags.DEFINE_integer("steps", 10, "updates of each relearning", lower_bound=0)
RATE = flags.DEFINE_float("learning_rate", 3e-3, "of each relearning", lower_bound=0)


def main(_):
    workdir = WORKDIR.value
    name = benchmark_name(workdir)
    system = get_benchmark(name)
    if not hasattr(system, "stress"):
        raise ValueError(f"{workdir}: its benchmark {name!r} offers no attacks")
    found = collect(workdir, get_report(name).layout).runs
    chosen = [
        one for one in found if not ONLY.value or any(fnmatch(one.name, p) for p in ONLY.value)
    ]
    if not chosen:
        names = ", ".join(one.name for one in found)
        raise ValueError(f"--only {','.join(ONLY.value)}: no such run; expected one of {names}")
    for one in chosen:
        attack(one, system)
    if DRY_RUN.value:
        end_of_plan()


def attack(one, system) -> None:
    """Attack one evaluated run, and say what was done."""
    began, config = time.monotonic(), ConfigDict(one.config)
    benchmark = system.open_benchmark(config)
    if benchmark.fingerprint != one.data_fingerprint:
        raise ValueError(
            f"{one.folder}: made with data {one.data_fingerprint[:12]}, but {benchmark.folder} "
            f"holds {benchmark.fingerprint[:12]}; prepare the data of the run"
        )
    offered = system.stress(
        config, benchmark, one.group, steps=STEPS.value, learning_rate=RATE.value
    )
    folder = one.records_path.parent
    if DRY_RUN.value:
        say(f"{one.name}: {', '.join(ATTACKS.value or offered.attacks)}; in {folder}")
        return
    note(f"{one.name}, {folder.name}")
    made = stress(one.folder, folder, one.manifest, config, offered, ATTACKS.value)
    say(f"{one.name}, {folder.name}: {len(made)} attacks in {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    run(main)
