"""The GGUF reader on tiny files that the test writes, whole and broken."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFWriter, TokenType
from gguf.quants import quantize
from tokenizers import pre_tokenizers

import mllm
from mllm.checkpoints.gguf import interleaved_to_half_split, read_gguf
from mllm.data.conversation import assistant, user
from mllm.models import llava

WIDTH, LAYERS, HEADS, KV_HEADS, MLP = 32, 2, 4, 2, 64
HEAD_DIM = WIDTH // HEADS
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
TOKENS = ["<|end|>", "<|start|>", *BYTES, "he", "ll", "hell", "Ġhell", "<tool>"]
MERGES = ["h e", "l l", "he ll", "Ġ hell"]
TYPES = [TokenType.CONTROL] * 2 + [TokenType.NORMAL] * (len(TOKENS) - 3) + [TokenType.USER_DEFINED]


def tiny_tensors(tied: bool) -> dict[str, np.ndarray]:
    """Random weights under their GGUF names, rows = out."""
    shapes = {"token_embd": (len(TOKENS), WIDTH), "output_norm": (WIDTH,)}
    if not tied:
        shapes["output"] = (len(TOKENS), WIDTH)
    for layer in range(LAYERS):
        for name, shape in {
            "attn_norm": (WIDTH,),
            "attn_q": (HEADS * HEAD_DIM, WIDTH),
            "attn_k": (KV_HEADS * HEAD_DIM, WIDTH),
            "attn_v": (KV_HEADS * HEAD_DIM, WIDTH),
            "attn_output": (WIDTH, HEADS * HEAD_DIM),
            "ffn_norm": (WIDTH,),
            "ffn_gate": (MLP, WIDTH),
            "ffn_up": (MLP, WIDTH),
            "ffn_down": (WIDTH, MLP),
        }.items():
            shapes[f"blk.{layer}.{name}"] = shape
    rng = np.random.default_rng(0)
    return {
        f"{name}.weight": rng.normal(size=shape).astype(np.float32) / 4
        for name, shape in shapes.items()
    }


@dataclass
class TinyFile:
    """What a test writes; each test changes one thing of it."""

    tied: bool = True
    architecture: str = "llama"
    quantised: bool = False
    metadata: dict = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    tensors: dict = None

    def __post_init__(self):
        self.tensors = tiny_tensors(self.tied)
        self.values = {
            "llama.block_count": LAYERS,
            "llama.context_length": 128,
            "llama.embedding_length": WIDTH,
            "llama.feed_forward_length": MLP,
            "llama.attention.head_count": HEADS,
            "llama.attention.head_count_kv": KV_HEADS,
            "llama.rope.freq_base": 1000.0,
            "llama.attention.layer_norm_rms_epsilon": 1e-5,
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": "smollm",
            "tokenizer.ggml.tokens": TOKENS,
            "tokenizer.ggml.token_type": [int(t) for t in TYPES],
            "tokenizer.ggml.merges": MERGES,
            "tokenizer.ggml.bos_token_id": 1,
            "tokenizer.ggml.eos_token_id": 0,
            "tokenizer.chat_template": "{{ messages }}",
            **self.metadata,
        }

    def write(self, path):
        writer = GGUFWriter(path, self.architecture)
        add = {
            bool: writer.add_bool,
            int: writer.add_uint32,
            float: writer.add_float32,
            str: writer.add_string,
            list: writer.add_array,
        }
        for key, value in self.values.items():
            if key not in self.dropped:
                add[type(value)](key, value)
        for name, values in self.tensors.items():
            if self.quantised and values.ndim == 2:
                kind = GGMLQuantizationType.Q8_0
                writer.add_tensor(name, quantize(values, kind), raw_dtype=kind)
            else:
                writer.add_tensor(name, values)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path


def reference_logits(file: TinyFile, tokens: list[int]) -> np.ndarray:
    """Float64 logits [T, V] of the stored tensors, with llama.cpp's interleaved rotary pairs."""
    w = {name: values.astype(np.float64) for name, values in file.tensors.items()}

    def norm(x, scale):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * scale

    def rotate(x):
        angles = np.arange(len(x))[:, None] * 1000.0 ** (-np.arange(0, HEAD_DIM, 2) / HEAD_DIM)
        turned = (x[..., 0::2] + 1j * x[..., 1::2]) * np.exp(1j * angles)[:, None]
        return np.stack([turned.real, turned.imag], axis=-1).reshape(x.shape)

    x = w["token_embd.weight"][tokens]
    count = len(tokens)
    for layer in range(LAYERS):
        p = f"blk.{layer}."
        h = norm(x, w[p + "attn_norm.weight"])
        q, k, v = (
            (h @ w[f"{p}attn_{n}.weight"].T).reshape(count, -1, HEAD_DIM) for n in ("q", "k", "v")
        )
        k, v = (np.repeat(y, HEADS // KV_HEADS, axis=1) for y in (rotate(k), v))
        scores = np.einsum("thc,shc->hts", rotate(q), k) / np.sqrt(HEAD_DIM)
        scores[:, np.triu(np.ones((count, count), bool), 1)] = -np.inf
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        y = np.einsum("hts,shc->thc", weights, v).reshape(count, -1)
        x = x + y @ w[p + "attn_output.weight"].T
        h = norm(x, w[p + "ffn_norm.weight"])
        gate = h @ w[p + "ffn_gate.weight"].T
        inner = gate / (1 + np.exp(-gate)) * (h @ w[p + "ffn_up.weight"].T)
        x = x + inner @ w[p + "ffn_down.weight"].T
    head = w["token_embd.weight"] if file.tied else w["output.weight"]
    return norm(x, w["output_norm.weight"]) @ head.T


@pytest.mark.parametrize("tied", [True, False])
def test_logits_equal_those_of_the_stored_tensors(tmp_path, tied):
    file = TinyFile(tied=tied)
    model = read_gguf(file.write(tmp_path / "tiny.gguf"))
    assert model.config.decoder.tied is tied
    shapes = jax.tree.map(np.shape, llava.abstract(model.config))
    assert jax.tree.map(np.shape, model.variables) == shapes
    tokens = np.arange(3, 20, dtype=np.int32)[None]
    batch = {
        "tokens": tokens,
        "positions": np.arange(tokens.shape[1])[None],
        "segments": np.zeros_like(tokens),
    }
    hidden, _ = llava.hidden(model.config, model.variables, jax.tree.map(jnp.asarray, batch))
    logits = hidden @ llava.head(model.config, model.variables)
    np.testing.assert_allclose(logits[0], reference_logits(file, tokens[0]), atol=2e-5)


def test_quantised_tensors_are_read(tmp_path):
    whole = read_gguf(TinyFile().write(tmp_path / "whole.gguf")).variables
    quantised = read_gguf(TinyFile(quantised=True).write(tmp_path / "q8.gguf")).variables
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(quantised), strict=True):
        np.testing.assert_allclose(a, b, atol=0.01)


def test_rotary_pairs_are_split_in_halves():
    rows = np.arange(2 * 6)[:, None]
    order = interleaved_to_half_split(rows, heads=2)[:, 0]
    assert order.tolist() == [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]


def test_tokenizer_and_names(tmp_path):
    model = read_gguf(TinyFile().write(tmp_path / "tiny.gguf"))
    assert (model.bos_id, model.eos_id, model.pad_id) == (1, 0, None)
    assert model.chat_template == "{{ messages }}"
    encoding = model.tokenizer.encode("<|start|>hell hell12<tool><|end|>")
    assert encoding.tokens == ["<|start|>", "hell", "Ġhell", "1", "2", "<tool>", "<|end|>"]
    assert [TOKENS[i] for i in encoding.ids] == encoding.tokens
    assert model.tokenizer.decode(encoding.ids) == "hell hell12<tool>"
    text = "né 中  x"
    assert model.tokenizer.decode(model.tokenizer.encode(text).ids) == text


def test_text_starts_with_bos_where_the_file_says_so(tmp_path):
    file = TinyFile(metadata={"tokenizer.ggml.add_bos_token": True})
    tokenizer = read_gguf(file.write(tmp_path / "tiny.gguf")).tokenizer
    assert tokenizer.encode("hell").tokens == ["<|start|>", "hell"]


def test_a_file_is_asked_by_its_own_template_and_ends_at_any_end(tmp_path):
    turn = "{{ m['role'] + eos_token + m['content'] + '<|start|>' }}"
    told = f"{{% for m in messages %}}{turn}{{% endfor %}}"
    chat = {"tokenizer.chat_template": told, "tokenizer.ggml.eot_token_id": 1}
    path = TinyFile(metadata=chat).write(tmp_path / "tiny.gguf")
    processor = mllm.load(path).loaded.processor
    turns = [user("hell"), assistant("12")]
    assert processor.text(turns) == "user<|end|>hell<|start|>assistant<|end|>12<|start|>"
    assert (processor.config.eos, processor.config.ends) == ("<|start|>", ("<|end|>",))
    assert processor.encode(turns).ids[-1] == 1 and processor.end_ids == (1, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "qwen2"}, r"general\.architecture.*expected.*llama.*found 'qwen2'"),
        ({"dropped": ("llama.block_count",)}, r"'llama\.block_count' is missing"),
        ({"dropped": ("tokenizer.ggml.tokens",)}, r"'tokenizer\.ggml\.tokens' is missing"),
        ({"metadata": {"llama.block_count": "two"}}, r"block_count.*expected int, found str two"),
        ({"metadata": {"llama.block_count": 1}}, r"'blk\.1\.\w+\.weight' is unexpected"),
        ({"metadata": {"llama.block_count": 3}}, r"'blk\.2\.attn_norm\.weight' is missing"),
        ({"metadata": {"llama.attention.head_count_kv": 3}}, r"divisor of 4 heads, found 3"),
        ({"metadata": {"llama.rope.scaling.type": "yarn"}}, r"scaling\.type.*none.*found 'yarn'"),
        ({"metadata": {"llama.rope.dimension_count": 4}}, r"dimension_count.*8.*found 4"),
        ({"metadata": {"tokenizer.ggml.model": "llama"}}, r"ggml\.model.*gpt2.*found 'llama'"),
        ({"metadata": {"tokenizer.ggml.pre": "qwen2"}}, r"ggml\.pre.*smollm.*found 'qwen2'"),
        ({"metadata": {"tokenizer.ggml.token_type": [1]}}, r"token_type.*263 values.*found 1"),
        ({"metadata": {"tokenizer.ggml.merges": ["z zz"]}}, r"merges.*pairs of known tokens"),
        (
            {"metadata": {"llama.feed_forward_length": 48}},
            r"'blk\.0\.ffn_gate\.weight'.*expected shape \(48, 32\), found \(64, 32\)",
        ),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, change, message):
    path = TinyFile(**change).write(tmp_path / "tiny.gguf")
    with pytest.raises(ValueError, match=message) as caught:
        read_gguf(path)
    assert str(path) in str(caught.value)


def test_a_missing_or_foreign_tensor_is_named(tmp_path):
    file = TinyFile()
    del file.tensors["blk.1.attn_k.weight"]
    with pytest.raises(ValueError, match=r"'blk\.1\.attn_k\.weight' is missing: .*\(16, 32\)"):
        read_gguf(file.write(tmp_path / "missing.gguf"))
    file = TinyFile()
    file.tensors["blk.0.attn_q.bias"] = np.zeros(WIDTH, np.float32)
    with pytest.raises(ValueError, match=r"'blk\.0\.attn_q\.bias' is unexpected"):
        read_gguf(file.write(tmp_path / "foreign.gguf"))


def test_files_that_are_not_whole(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.gguf"):
        read_gguf(tmp_path / "none.gguf")
    content = TinyFile().write(tmp_path / "tiny.gguf").read_bytes()
    broken = tmp_path / "broken.gguf"
    for length in (6, 30, 300, len(content) // 3, len(content) - 2000):
        broken.write_bytes(content[:length])
        with pytest.raises(ValueError, match=rf"broken\.gguf: expected a whole .* found {length}"):
            read_gguf(broken)
    for content in (b"", b"PK\x03\x04 something else"):
        broken.write_bytes(content)
        with pytest.raises(ValueError, match=r"broken\.gguf: not a GGUF file: expected magic"):
            read_gguf(broken)
