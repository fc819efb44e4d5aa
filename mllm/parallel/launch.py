"""Several processes: how they find each other, which one writes, and where they wait.

Every process runs the same program on the same data and executes the same device programs in the
same order. Only the first one prints and writes files, except for those that Orbax writes.
"""

import contextlib
import glob
import hashlib
import importlib.util
import os
from collections.abc import Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils

from mllm.parallel import slurm

VARIABLES = ("MLLM_COORDINATOR", "MLLM_PROCESS_COUNT", "MLLM_PROCESS_ID")
# Where other launchers (Open MPI 5, MPICH, torchrun) say how many processes they started.
COUNTS = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "WORLD_SIZE")
# Seconds that an ending process waits for the others to end too. If it failed alone while they wait
# for it in a device program, it then exits, and they are stopped.
GRACE = 60
_LONGEST = 2000  # bytes of a line that processes share


def initialize() -> None:
    """Join the other processes; call this before anything touches a device.

    The variables MLLM_COORDINATOR (host:port of process 0), MLLM_PROCESS_COUNT and MLLM_PROCESS_ID
    identify the processes. Without them, Slurm's variables identify those of an ``srun``, Open
    MPI's those of an ``mpirun``, a TPU VM reads its metadata, and any other machine runs a single
    process.

    Raises:
      ValueError: only some of the variables are set, a count or id is not a number or is out of
        range, or another launcher started several processes.
    """
    given = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    if given:
        missing = [name for name in VARIABLES if name not in given]
        if missing:
            raise ValueError(
                f"{', '.join(given)} without {', '.join(missing)}: set all of "
                f"{', '.join(VARIABLES)}, or none for a single process"
            )
        count, number = (_number(name, given[name]) for name in VARIABLES[1:])
        if not 0 <= number < count:
            raise ValueError(
                f"MLLM_PROCESS_ID is {number}, expected 0 to MLLM_PROCESS_COUNT - 1 = {count - 1}"
            )
        if count > 1:
            address = given["MLLM_COORDINATOR"]
            jax.distributed.initialize(address, count, number, shutdown_timeout_seconds=GRACE)
    elif (task := slurm.task()) is not None:
        jax.distributed.initialize(
            task.coordinator,
            task.count,
            task.number,
            local_device_ids=task.devices,
            cluster_detection_method="deactivate",
            shutdown_timeout_seconds=GRACE,
        )
    elif "OMPI_MCA_orte_hnp_uri" in os.environ and _launched_by("OMPI_COMM_WORLD_SIZE"):
        jax.distributed.initialize(cluster_detection_method="ompi", shutdown_timeout_seconds=GRACE)
    elif _on_tpu_vm():
        jax.distributed.initialize(shutdown_timeout_seconds=GRACE)
    elif several := [name for name in COUNTS if _launched_by(name)]:
        # Alone, each would write into the same folder.
        raise ValueError(
            f"{several[0]} is {os.environ[several[0]]}: a launcher started several processes, and "
            f"they cannot find each other. Set {', '.join(VARIABLES)} for each, use srun, or "
            "start a single process"
        )


def is_first() -> bool:
    """Return whether this process is the one that writes files and prints."""
    return jax.process_index() == 0


def wait_for_all(name: str) -> None:
    """Wait until every process is here: what one wrote before this call, all can read after it."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


@contextlib.contextmanager
def in_turn(name: str) -> Iterator[None]:
    """Run the body on the first process, then on the others; all of them leave together."""
    if not is_first():
        wait_for_all(f"{name}: the first process")
    yield
    if is_first():
        wait_for_all(f"{name}: the first process")
    wait_for_all(f"{name}: all processes")


def require_same(what: str, value: bytes | str) -> None:
    """Check that a value is the same on all processes.

    Raises:
      ValueError: on every process, if the value of one differs from that of the first.
    """
    if jax.process_count() == 1:
        return
    data = value.encode() if isinstance(value, str) else value
    digest = np.frombuffer(hashlib.sha256(data).digest(), np.uint8)
    found = np.asarray(multihost_utils.process_allgather(digest))
    others = [i for i, row in enumerate(found) if not np.array_equal(row, found[0])]
    if others:
        raise ValueError(
            f"{what} is not the same on all processes: {others} differ from process 0. All need "
            "the same command, code and data, and a --workdir on a disk that they share"
        )


def from_first(text: str) -> str:
    """Return the text of the first process, at most 4,000 bytes of it, on all processes."""
    if jax.process_count() == 1:
        return text
    data = np.zeros(4000, np.uint8)
    told = np.frombuffer(text.encode(), np.uint8)[: data.size]
    data[: told.size] = told
    found = np.asarray(multihost_utils.broadcast_one_to_all(data))
    return found.tobytes().rstrip(b"\0").decode(errors="ignore")


def share(items: list) -> list:
    """Return the items that are this process's part of work that all processes divide."""
    return items[jax.process_index() :: jax.process_count()]


def share_problem(problem: str) -> str:
    """Return the problem that the first process to have one gives, "" if none has; every process
    calls this and gets the same.
    """
    if jax.process_count() == 1:
        return problem
    text = problem.encode()[:_LONGEST].ljust(_LONGEST, b"\0")
    found = np.asarray(multihost_utils.process_allgather(np.frombuffer(text, np.uint8)))
    lines = [bytes(row).rstrip(b"\0").decode(errors="replace") for row in found]
    return next(filter(None, lines), "")


def _launched_by(count: str) -> bool:
    """Return whether a launcher's variable says that it started several processes."""
    return os.environ.get(count, "").isdecimal() and int(os.environ[count]) > 1


def _number(name: str, text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"{name} is {text!r}, expected a number")
    return int(text)


def _on_tpu_vm() -> bool:
    """Return whether jax would run on a TPU of this machine, according to its device files.

    Asking jax would start the backend before the processes have joined.
    """
    wanted = os.environ.get("JAX_PLATFORMS") or "tpu"
    files = glob.glob("/dev/accel[0-9]*") + glob.glob("/dev/vfio/[0-9]*")
    return "tpu" in wanted.split(",") and bool(files) and bool(importlib.util.find_spec("libtpu"))
