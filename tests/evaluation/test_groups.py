"""Every unit is asked once, whatever memory does, and as many at once as memory holds."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import pytest

from mllm.evaluation.groups import SHARE, group_size, in_groups
from mllm.models.decoder import DecoderConfig


def device_of(units_that_fit: int, asked: list):
    """A device that runs out of memory beyond that many units, half of them answered by then."""

    def ask(group, size):
        asked.append(size)
        yield list(group[: len(group) // 2])
        if len(group) > units_that_fit:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 byte")
        yield list(group[len(group) // 2 :])

    return ask


@pytest.mark.parametrize("fitting, sizes", [(9, [8, 8]), (5, [8, 4, 4, 4]), (1, [8, 4, 2])])
def test_out_of_memory_halves_the_group_and_loses_nothing(fitting, sizes, capsys):
    asked = []
    found = list(in_groups(range(16), 8, device_of(fitting, asked)))
    assert [unit for part in found for unit in part] == list(range(16))
    assert asked[: len(sizes)] == sizes
    halved = len(set(asked)) - 1
    assert capsys.readouterr().err.count("out of memory: going on with") == halved


@pytest.mark.parametrize(
    "units_that_fit, message", [(0, "RESOURCE_EXHAUSTED: nothing fits"), (9, "INTERNAL: a fault")]
)
def test_other_errors_and_a_single_unit_too_many_are_errors(units_that_fit, message):
    def ask(group, size):
        if len(group) > units_that_fit or "INTERNAL" in message:
            raise jax.errors.JaxRuntimeError(message)
        yield list(group)

    with pytest.raises(jax.errors.JaxRuntimeError, match=message.partition(":")[0]):
        list(in_groups(range(4), 4, ask))


@pytest.mark.parametrize(
    "kv_form, bytes_a_token", [("", 2 * 3 * 4 * 2 * 8), ("int8", 2 * 3 * 4 * (8 + 4))]
)
def test_as_many_are_asked_as_keys_values_and_states_leave_room_for(kv_form, bytes_a_token):
    """Three layers with four heads of width 8, in bfloat16."""
    decoder = DecoderConfig(50, 16, layers=3, heads=4, kv_heads=4, head_dim=8, mlp_width=5)
    states = 2 * (4 * 16 + 3 * 5)
    fitting, tokens = 40, 100
    memory = {"bytes_in_use": 1000, "bytes_limit": 1000}
    memory["bytes_limit"] += int((fitting + 0.5) * tokens * (bytes_a_token + states) / SHARE)
    device = SimpleNamespace(memory_stats=lambda: memory)
    leaf = SimpleNamespace(devices=lambda: [device])
    config = SimpleNamespace(decoder=replace(decoder, kv_form=kv_form), dtype="bfloat16")
    loaded = SimpleNamespace(config=config, variables={"params": leaf})
    assert group_size(loaded, tokens) == fitting
