"""How processes find each other, by the environment alone."""

import jax
import numpy as np
import pytest

from mllm.parallel import launch
from mllm.training.loop import checksum


@pytest.fixture
def joined(monkeypatch):
    """The arguments with which jax was asked to join other processes; nothing is joined."""
    calls = []
    monkeypatch.setattr(
        jax.distributed, "initialize", lambda *arguments, **options: calls.append(arguments)
    )
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    for name in launch.VARIABLES:
        monkeypatch.delenv(name, raising=False)
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


def test_a_batch_that_differs_anywhere_differs_in_its_checksum(monkeypatch):
    batch = {"tokens": np.zeros((2, 3), np.int32), "weight": np.ones(2, np.float32)}
    other = {**batch, "tokens": np.eye(2, 3, dtype=np.int32)}
    assert checksum(batch) == 0  # alone there is nobody to compare with
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    assert checksum(batch) == checksum(dict(reversed(batch.items())))
    assert checksum(batch) != checksum(other)
    assert checksum(batch, checksum(other)) != checksum(batch, checksum(batch))
