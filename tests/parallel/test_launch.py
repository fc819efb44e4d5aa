"""How processes find each other, by the environment alone."""

import os

import jax
import numpy as np
import pytest

from mllm.parallel import launch, slurm
from mllm.training.lines import checksum


@pytest.fixture
def joined(monkeypatch):
    """The arguments with which jax was asked to join other processes; nothing is joined."""
    calls = []

    def initialize(*arguments, local_device_ids=None, cluster_detection_method=None, **_):
        more = [local_device_ids] if cluster_detection_method == "deactivate" else []
        calls.append((*arguments, *more))

    monkeypatch.setattr(jax.distributed, "initialize", initialize)
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    for name in list(os.environ):
        if name.startswith(("SLURM_", "OMPI_", "MLLM_", "CUDA_")) or name in launch.COUNTS:
            monkeypatch.delenv(name)
    return calls


def give(monkeypatch, *values):
    for name, value in zip(launch.VARIABLES, values, strict=True):
        if value is not None:
            monkeypatch.setenv(name, value)


def machine(monkeypatch, files, installed=True):
    """A machine with these device files, with or without the TPU's library."""
    monkeypatch.setattr(launch.glob, "glob", lambda pattern: [f for f in files if f in pattern])
    monkeypatch.setattr(launch.importlib.util, "find_spec", lambda name: installed or None)


def test_a_single_process_does_nothing(joined, monkeypatch):
    launch.initialize()
    give(monkeypatch, "localhost:1234", "1", "0")
    launch.initialize()
    assert not joined
    assert launch.is_first()
    launch.wait_for_all("nobody")
    launch.require_same("nothing", "anything")


def test_the_variables_say_who_the_processes_are(joined, monkeypatch):
    give(monkeypatch, "10.0.0.2:8476", "4", "3")
    machine(monkeypatch, ["/dev/accel"])  # what is said goes before what is found
    launch.initialize()
    assert joined == [("10.0.0.2:8476", 4, 3)]


@pytest.mark.parametrize(
    ("platforms", "files", "installed", "joins"),
    [
        (None, ["/dev/accel"], True, True),
        ("tpu,cpu", ["/dev/vfio"], True, True),
        ("", ["/dev/vfio"], True, True),
        ("cpu", ["/dev/accel"], True, False),
        (None, [], True, False),
        (None, ["/dev/vfio"], False, False),  # a disk or a GPU that was passed through
    ],
)
def test_a_tpu_vm_is_recognised_by_its_device_files(
    joined, monkeypatch, platforms, files, installed, joins
):
    if platforms is not None:
        monkeypatch.setenv("JAX_PLATFORMS", platforms)
    machine(monkeypatch, files, installed)
    launch.initialize()
    assert joined == ([()] if joins else [])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("h:1", None, None), "MLLM_COORDINATOR without MLLM_PROCESS_COUNT, MLLM_PROCESS_ID"),
        ((None, "2", "0"), "MLLM_PROCESS_COUNT, MLLM_PROCESS_ID without MLLM_COORDINATOR"),
        (("h:1", "two", "0"), "MLLM_PROCESS_COUNT is 'two', expected a number"),
        (("h:1", "2", "-1"), "MLLM_PROCESS_ID is '-1', expected a number"),
        (("h:1", "2", "2"), "MLLM_PROCESS_ID is 2, expected 0 to MLLM_PROCESS_COUNT - 1 = 1"),
        (("h:1", "0", "0"), "MLLM_PROCESS_ID is 0, expected 0 to MLLM_PROCESS_COUNT - 1 = -1"),
    ],
)
def test_half_an_environment_is_refused(joined, monkeypatch, values, message):
    give(monkeypatch, *values)
    with pytest.raises(ValueError, match=message):
        launch.initialize()
    assert not joined


SRUN = {  # of the third of four processes, on the second of two nodes
    "SLURM_JOB_ID": "1234",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NODELIST": "gpu[03-04]",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "1",
}


@pytest.mark.parametrize(
    ("changes", "joins"),
    [
        ({}, ("gpu03:62674", 4, 2, [0])),
        ({"SLURM_PROCID": "3", "SLURM_LOCALID": "1"}, ("gpu03:62674", 4, 3, [1])),
        # A process that has its node, or its GPU, to itself takes all that it sees.
        ({"SLURM_STEP_TASKS_PER_NODE": "3,1"}, ("gpu03:62674", 4, 2, None)),
        ({"CUDA_VISIBLE_DEVICES": "1"}, ("gpu03:62674", 4, 2, None)),
        ({"CUDA_VISIBLE_DEVICES": "0,1"}, ("gpu03:62674", 4, 2, [0])),
        # Another step of the same job meets elsewhere.
        ({"SLURM_STEP_ID": "1"}, ("gpu03:62771", 4, 2, [0])),
        ({"SLURM_STEP_NUM_TASKS": "1"}, None),  # srun -n 1, or the shell of srun --pty
        # A script of sbatch -n 4, or the shell of salloc -n 4.
        ({name: None for name in SRUN if "STEP" in name} | {"SLURM_NTASKS": "4"}, None),
    ],
)
def test_the_processes_of_srun_join(joined, monkeypatch, changes, joins):
    for name, value in {**SRUN, **changes}.items():
        if value is not None:
            monkeypatch.setenv(name, value)
    launch.initialize()
    assert joined == ([] if joins is None else [joins])
    joined.clear()
    give(monkeypatch, "h:1", "1", "0")  # what is said goes first: processes that share nothing
    launch.initialize()
    assert not joined


@pytest.mark.parametrize(
    ("nodes", "host"),
    [
        ("node7", "node7"),
        ("node7,node8", "node7"),
        ("n[003-005,9],login", "n003"),
        ("n[003-005]-ib,login", "n003-ib"),
        ("rack[1-2]n[08,10]", "rack1n08"),
        ("a-b,n[1-2]", "a-b"),
    ],
)
def test_the_first_host_of_a_list(nodes, host):
    assert slurm.first_host(nodes) == host


def test_srun_without_its_variables_is_refused(joined, monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    monkeypatch.setenv("SLURM_PROCID", "0")
    with pytest.raises(ValueError, match="is 2 without SLURM_LOCALID, SLURM_NODEID"):
        launch.initialize()


@pytest.mark.parametrize("name", launch.COUNTS)
def test_several_processes_that_cannot_find_each_other_are_refused(joined, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    launch.initialize()
    monkeypatch.setenv(name, "2")
    with pytest.raises(ValueError, match=f"{name} is 2: a launcher started several processes"):
        launch.initialize()
    assert not joined


def test_the_processes_of_open_mpi_join(joined, monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    monkeypatch.setenv("OMPI_MCA_orte_hnp_uri", "1531576320.0;tcp://10.96.0.1:34911")
    launch.initialize()
    assert joined == [()]


def test_a_batch_that_differs_anywhere_differs_in_its_checksum(monkeypatch):
    batch = {"tokens": np.zeros((2, 3), np.int32), "weight": np.ones(2, np.float32)}
    other = {**batch, "tokens": np.eye(2, 3, dtype=np.int32)}
    assert checksum(batch) == 0  # alone there is nobody to compare with
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    assert checksum(batch) == checksum(dict(reversed(batch.items())))
    assert checksum(batch) != checksum(other)
    assert checksum(batch, checksum(other)) != checksum(batch, checksum(batch))
