"""What a configuration costs on devices that are not here."""

import pytest
from ml_collections import ConfigDict

from configs.bench import idefics2_8b, llava7b
from experiments import abstract, fits
from mllm.models import config_from_dict
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
        count = sum(leaf.size for leaf in abstract.jax.tree.leaves(frozen["params"]))
        assert abs(count / 1e9 - billions) < 0.15, family
        assert batch["images"].shape[-2] == shape.vision.image_size


@pytest.mark.parametrize("method", ["kl_min", "evaluation"])
def test_a_tiny_model_fits_and_a_small_memory_is_told(method, monkeypatch):
    pytest.importorskip("libtpu", reason="compiling for a TPU needs libtpu (requirements-tpu.txt)")
    found = fits.compile_for(tiny(), method, "v5e:2x2", 4)
    assert found["fits"] and found["flops"] > 0 and found["collectives"]["all-gather"] > 0
    assert "fits: peak" in fits.told(found)
    monkeypatch.setitem(fits.TOPOLOGIES, "v5e:2x2", found["peak"] - 1)
    assert not fits.compile_for(tiny(), method, "v5e:2x2", 4)["fits"]


def test_the_ladder_halves_rows_until_they_fit(monkeypatch):
    monkeypatch.setattr(fits, "devices_of", lambda name: (range(4), 100))
    monkeypatch.setattr(fits, "compile_for", lambda config, method, name, rows: {"fits": rows <= 8})
    assert [rows for rows, _ in fits.ladder(tiny(), "ga", "v5e:2x2", 32)] == [32, 16, 8]


def test_what_the_compiler_refuses_is_an_answer(monkeypatch):
    def refuse(*arguments):
        raise fits.jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Ran out of memory: 29G of 15G")

    mesh = make_mesh()
    monkeypatch.setattr(fits, "devices_of", lambda name: (mesh.devices.ravel(), 100))
    monkeypatch.setattr(fits, "_costs", refuse)
    found = fits.compile_for(tiny(), "ga", "v5e:2x2", 8)
    assert not found["fits"] and "29G of 15G" in fits.told(found)


def test_an_unknown_topology_is_named():
    with pytest.raises(ValueError, match=r"topology 'v5e:4x5'; did you mean 'v5e:4x4'"):
        fits.devices_of("v5e:4x5")


def _call(call):
    function, arguments = call
    return function, *arguments
