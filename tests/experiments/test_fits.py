"""What a configuration costs on devices that are not attached."""

import math
import sys

import jax
import pytest
from ml_collections import ConfigDict

from configs.bench import fused7b, idefics2_8b, llava7b
from experiments import abstract, fits
from mllm.models import config_from_dict
from mllm.parallel import topology
from mllm.parallel.mesh import make_mesh, one_device
from mllm.parallel.program import flops_of


def tiny() -> ConfigDict:
    return llava7b.get_config("tiny")


def decoder_flops(config, tokens: int, rows: int) -> int:
    """Products of one forward pass through the layers, without attention's scores."""
    d = config.model.decoder
    heads = 2 * d.heads + 2 * d.kv_heads
    layer = d.width * heads * d.head_dim + 3 * d.width * d.mlp_width
    return 2 * rows * tokens * d.layers * layer


@pytest.mark.thorough
def test_a_longer_row_costs_its_products_and_its_scores():
    config = tiny()

    def flops(tokens: int) -> int:
        config.rows.tokens = tokens
        return flops_of(*_call(abstract.training_step(config, "ga", one_device(), 2)))

    short, long = flops(160), flops(320)
    forward = decoder_flops(config, 160, 2)
    d = config.model.decoder
    scores = 2 * 2 * 2 * (320**2 - 160**2) * d.heads * d.head_dim * d.layers
    # Forward and the gradient of states: 2 of 3 products, weights being frozen; the scores are a
    # product of two states each. Adapters of rank 16 are large beside matrices of 64.
    assert long - short > 2 * forward + 3 * scores
    config.lora.rank = 1
    assert flops(320) - flops(160) < 1.15 * (2 * forward + 3 * scores)


def test_sizes_are_the_published_ones():
    for config, billions in ((llava7b.get_config(), 7.0), (idefics2_8b.get_config(), 8.4)):
        _, (_, frozen, batch) = abstract.training_step(config, "npo", one_device(), 1)
        family, shape = config_from_dict(config.model.to_dict())
        count = sum(leaf.size for leaf in jax.tree.leaves(frozen["params"]))
        assert abs(count / 1e9 - billions) < 0.15, family
        assert batch["media"]["image"]["values"].shape[-2] == shape.vision.image_size


def test_three_encoders_have_their_published_sizes_and_are_looked_through_once():
    config = fused7b.get_config()
    for trainable, parts in (("fusion+projector+lora", 2), ("params", 4)):
        config.methods.nll.trainable = trainable
        _, (state, frozen, batch) = abstract.training_step(config, "nll", one_device(), 1)
        assert len(state.trainable["params"]) == parts
        image = batch["media"]["image"]
        assert ("features" in image, "values" in image) == (parts == 2, parts == 4)
        params = {**frozen.get("params", {}), **state.trainable["params"]}
        counts = {
            name: sum(leaf.size for leaf in jax.tree.leaves(tree))
            for name, tree in params["vision"].items()
        }
        # Of CLIP one layer of 24, of SigLIP the pooling is not there.
        assert counts == {"clip": 290_909_184, "dinov2": 303_555_584, "siglip": 412_987_248}
    calls = abstract.evaluation_calls(config, one_device(), 1)
    assert list(calls) == ["looking", "pictures", "options", "replies"]


@pytest.mark.thorough
@pytest.mark.parametrize("method", ["pdu", "mmunlearner"])
def test_a_step_is_given_what_its_objective_keeps_besides_weights(method):
    step, given = abstract.training_step(tiny(), method, one_device(), 2)
    state, metrics = jax.eval_shape(step, *given)
    assert set(state.numbers) == {"pdu": {"multiplier"}, "mmunlearner": set()}[method]
    assert ("salient" in given[1]) == (method == "mmunlearner") and "loss" in metrics


@pytest.mark.slow
@pytest.mark.parametrize("method", ["kl_min", "evaluation"])
def test_a_tiny_model_fits(method):
    pytest.importorskip("libtpu", reason="compiling for a TPU needs libtpu (requirements-tpu.txt)")
    found = fits.compile_for(tiny(), method, "v5e:2x2", 4)
    assert found["fits"] and found["flops"] > 0 and found["collectives"]["all-gather"] > 0
    assert "fits: peak" in fits.summary_line(found)


@pytest.fixture(scope="module")
def here():
    """The step of GA on the eight CPU devices: its arguments, and what ``compile_for`` finds."""
    mesh = make_mesh()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fits, "devices_of", lambda name: (mesh.devices.ravel(), 2**40))
        found = fits.compile_for(tiny(), "ga", "eight CPUs", 8)
    return abstract.training_step(tiny(), "ga", mesh, 8)[1], found


@pytest.mark.thorough
def test_arguments_are_the_parts_that_a_device_holds(here):
    arguments, found = here
    leaves = jax.tree.leaves(arguments)
    parts = [
        math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize for leaf in leaves
    ]
    whole = [math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves]
    # The compiler drops what the step does not read, such as the ids of answers.
    assert 0.95 * sum(parts) < found["arguments"] <= sum(parts) < 0.5 * sum(whole)


@pytest.mark.thorough
def test_a_device_has_its_share_of_the_operations(here):
    _, found = here
    one = flops_of(*_call(abstract.training_step(tiny(), "ga", one_device(), 8)))
    assert found["flops"] == one // 8
    assert found["collectives"]["all-gather"] > 0  # weights are split over fsdp


@pytest.mark.thorough
@pytest.mark.parametrize("spare, fits_in", [(0, True), (-1, False)])
def test_a_peak_above_the_memory_does_not_fit(here, monkeypatch, spare, fits_in):
    _, found = here
    peak = found["peak"]
    assert peak == found["arguments"] + found["temporaries"] + found["outputs"] > 0
    devices = make_mesh().devices.ravel()
    monkeypatch.setattr(fits, "devices_of", lambda name: (devices, peak + spare))
    again = fits.compile_for(tiny(), "ga", "eight CPUs", 8)
    assert again["fits"] == fits_in and again["peak"] == peak
    assert fits.summary_line(again).startswith("fits: " if fits_in else "does not fit: ")


def test_the_ladder_halves_rows_then_computes_again_then_takes_more_chips(monkeypatch):
    tried = []

    def refuse(config, method, topology, rows):
        tried.append((topology, rows, config.model.decoder.get("remat")))
        return {"fits": topology == "v5e:8x8"}

    chips = {"v5e:2x2": 4, "v5e:2x4": 8, "v5e:4x4": 16, "v5e:8x8": 64, "v5e:16x16": 256}
    monkeypatch.setattr(fits, "devices_of", lambda name: (range(chips[name]), 100))
    monkeypatch.setattr(fits, "compile_for", refuse)
    *_, (setting, found) = fits.ladder(tiny(), "ga", "v5e:4x4", 32)
    kept, again = ("v5e:4x4", 32, None), ("v5e:4x4", 16, None)
    assert tried == [kept, again, ("v5e:4x4", 16, "nothing"), ("v5e:8x8", 64, "nothing")]
    assert found["fits"] and setting == fits.Setting("v5e:8x8", 64, recomputes=True)


def test_a_program_that_fits_is_compiled_once(monkeypatch):
    monkeypatch.setattr(fits, "devices_of", lambda name: (range(4), 100))
    monkeypatch.setattr(fits, "compile_for", lambda *arguments: {"fits": True})
    assert [s for s, _ in fits.ladder(tiny(), "ga", "v5e:2x2", 32)] == [fits.Setting("v5e:2x2", 32)]


def test_a_stopped_table_goes_on_and_its_page_says_what_it_lacks(tmp_path, monkeypatch):
    cost = dict(arguments=1, temporaries=1, outputs=0, peak=2, flops=1, collectives={})
    cost |= dict(fits=True, memory=fits.GIB, seconds=1.0)
    compiled, limit = [], 2

    def compile_for(config, method, topology, rows):
        if len(compiled) == limit:
            raise KeyboardInterrupt
        compiled.append((method, topology, config.methods.ga.trainable))
        return cost

    cells = [fits.Cell("LLaVA-1.5-7B", m, "lora", "v5e:4x4") for m in fits.METHODS]
    monkeypatch.setattr(fits, "cells", lambda: cells)
    monkeypatch.setattr(fits, "versions", lambda: "jax 1")
    monkeypatch.setattr(fits, "devices_of", lambda name: (range(16), fits.GIB))
    monkeypatch.setattr(fits, "compile_for", compile_for)
    table = tmp_path / "fits.md"
    with pytest.raises(KeyboardInterrupt):
        fits.write_table(table)
    assert "2 of 3 cells" in table.read_text() and "not compiled yet" in table.read_text()
    limit = 3
    fits.write_table(table)
    assert len(compiled) == 3 and "not compiled yet" not in table.read_text()
    fits.write_table(table)
    assert len(compiled) == 3
    monkeypatch.setattr(fits, "versions", lambda: "jax 2")
    with pytest.raises(KeyboardInterrupt):
        fits.write_table(table)


def test_a_cell_is_known_by_what_its_program_is_made_from(monkeypatch):
    cell = fits.Cell("LLaVA-1.5-7B", "ga", "lora", "v5e:4x4")
    monkeypatch.setattr(fits, "versions", lambda: "jax 1")
    changed = {name: tiny() for name in ("same", "rows", "lora", "model", "unread")}
    changed["rows"].rows.tokens += 1
    changed["lora"].lora.rank += 1
    changed["model"].model.decoder.layers += 1
    changed["unread"].evaluation.generation_tokens += 1
    changed["unread"].methods.ga.epochs += 1
    keys = {name: fits.key_of(cell, config) for name, config in changed.items()}
    assert keys["unread"] == keys["same"]
    assert len(set(keys.values())) == 4


def test_what_the_compiler_refuses_is_an_answer_and_other_failures_are_not(monkeypatch):
    def refuse(self, *arguments, **options):
        raise jax.errors.JaxRuntimeError(message)

    devices = make_mesh().devices.ravel()
    monkeypatch.setattr(fits, "devices_of", lambda name: (devices, 100))
    monkeypatch.setattr(jax.stages.Lowered, "compile", refuse)
    message = "RESOURCE_EXHAUSTED: Ran out of memory: 29G of 15G"
    found = fits.compile_for(tiny(), "ga", "eight CPUs", 8)
    assert not found["fits"] and "29G of 15G" in fits.summary_line(found)
    message = "INTERNAL: the compiler is broken"
    with pytest.raises(jax.errors.JaxRuntimeError, match="is broken"):
        fits.compile_for(tiny(), "ga", "eight CPUs", 8)


def test_a_line_tells_the_traffic_of_a_gpu():
    found = dict(arguments=1, temporaries=1, outputs=0, peak=2, flops=1, collectives={}, fits=True)
    found |= dict(memory=fits.GIB, traffic=dict(bytes=3 * 2**29, kernels=2000, products=7))
    line = fits.summary_line(found)
    assert line.endswith("traffic 1.5 GiB by 2,000 kernels, 7 of them products")


def test_a_missing_compiler_is_named_with_what_installs_it(monkeypatch):
    def missing(*arguments, **options):
        raise NotImplementedError if options else ModuleNotFoundError

    monkeypatch.setattr(topology.topologies, "get_topology_desc", missing)
    monkeypatch.setattr(topology.importlib, "import_module", missing)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(ModuleNotFoundError, match=r"h100:1: .*CUDA.*make .*/.installed-gpu"):
        fits.devices_of("h100:1")


def test_a_device_is_described_as_a_protocol_buffers_text():
    text = topology._text({"info": {"cores": 2, "more": {"major": 9}}, "name": "H"})
    assert text == 'info { cores: 2 more { major: 9 } } name: "H"'


def test_an_unknown_topology_is_named():
    with pytest.raises(ValueError, match=r"topology 'v5e:4x5'.*v5e:4x4 \(16 GiB\).*v5p:2x2x2 \(95"):
        fits.devices_of("v5e:4x5")


def _call(call):
    function, arguments = call
    return function, *arguments
