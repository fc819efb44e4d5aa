"""What Slurm tells each process of an ``srun`` about the others."""

import os
import re
from dataclasses import dataclass

COUNT = "SLURM_STEP_NUM_TASKS"
# Of each process: its number in the step and on its node, the node's number, and the nodes.
NEEDED = (
    "SLURM_PROCID",
    "SLURM_LOCALID",
    "SLURM_NODEID",
    "SLURM_STEP_NODELIST",
    "SLURM_STEP_TASKS_PER_NODE",
)
PORTS = range(61440, 65536)  # of the coordinator: above those that systems hand out by themselves


@dataclass(frozen=True)
class Task:
    """One of several processes.

    Attributes:
      coordinator: host:port of process 0.
      count: number of processes. number: of this one.
      devices: numbers of its GPUs among those that it sees; None for all of them.
    """

    coordinator: str
    count: int
    number: int
    devices: list[int] | None


def task() -> Task | None:
    """Return which process of an ``srun`` this is; None outside of one, or if it is the only one.

    A script of ``sbatch`` and a shell of ``salloc`` know for how many tasks the job has room, too,
    but are one process; only ``srun`` says how many the step has.

    Raises:
      ValueError: Slurm's other variables are not set.
    """
    count = int(os.environ.get(COUNT) or 1)
    if count == 1:
        return None
    if missing := [name for name in NEEDED if name not in os.environ]:
        raise ValueError(
            f"{COUNT} is {count} without {', '.join(missing)}: start the processes with srun, "
            f"or unset {COUNT} for a single one"
        )
    number, local, node = (int(os.environ[name]) for name in NEEDED[:3])
    # Two steps of a job may run at once, on the same hosts.
    job, step = (int(os.environ.get(f"SLURM_{name}_ID") or 0) for name in ("JOB", "STEP"))
    port = PORTS[(job + 97 * step) % len(PORTS)]
    host = first_host(os.environ["SLURM_STEP_NODELIST"])
    alone = tasks_per_node(os.environ["SLURM_STEP_TASKS_PER_NODE"])[node] == 1
    sees_one = os.environ.get("CUDA_VISIBLE_DEVICES", "").isdecimal()
    return Task(f"{host}:{port}", count, number, None if alone or sees_one else [local])


def first_host(nodes: str) -> str:
    """Return the first host of a list such as ``n[003-005,9]-ib,login``: ``n003-ib``."""
    first = re.match(r"(?:[^,\[]|\[[^\]]*\])*", nodes)[0]
    return re.sub(r"\[(\w+)[^\]]*\]", r"\1", first)


def tasks_per_node(counts: str) -> list[int]:
    """Return the number of tasks on each node, written like ``2(x3),1``."""
    found = re.findall(r"(\d+)(?:\(x(\d+)\))?", counts)
    return [int(tasks) for tasks, nodes in found for _ in range(int(nodes or 1))]
