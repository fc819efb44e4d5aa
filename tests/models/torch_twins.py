"""Random transformers models, and their weights in our layout."""

import numpy as np
import torch


def randomise(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Replace every parameter, so that no bias is zero and no gain is one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(1 + noise / 5 if parameter.ndim == 1 else noise / 5)
    return model.eval()


class Weights:
    """A state dict under a prefix, read as NumPy arrays."""

    def __init__(self, model: torch.nn.Module, prefix: str = "", layers: str = "layers"):
        state = {n: w.detach().numpy() for n, w in model.state_dict().items()}
        self.state = {n.removeprefix(prefix): w for n, w in state.items() if n.startswith(prefix)}
        self.layers = layers
        numbers = {n.split(f"{layers}.")[1].split(".")[0] for n in self.state if f"{layers}." in n}
        self.count = len(numbers)

    def vector(self, name: str) -> np.ndarray:
        return self.state[name]

    def dense(self, name: str) -> dict:
        leaves = {"w": self.state[f"{name}.weight"].T}
        return leaves | ({"b": self.state[f"{name}.bias"]} if f"{name}.bias" in self.state else {})

    def norm(self, name: str) -> dict:
        leaves = {"scale": self.state[f"{name}.weight"]}
        return leaves | ({"b": self.state[f"{name}.bias"]} if f"{name}.bias" in self.state else {})

    def stack(self, read, name: str, keep: int | None = None) -> dict:
        each = [read(f"{self.layers}.{i}.{name}") for i in range(keep or self.count)]
        return {leaf: np.stack([layer[leaf] for layer in each]) for leaf in each[0]}


def decoder_params(model: torch.nn.Module, prefix: str, tied: bool) -> dict:
    """Llama weights as the parameters of ``mllm.models.decoder.Decoder``."""
    w = Weights(model, prefix)
    params = {
        "embed": w.vector("embed_tokens.weight"),
        "norm": w.norm("norm"),
        "layers": {
            "attention_norm": w.stack(w.norm, "input_layernorm"),
            "mlp_norm": w.stack(w.norm, "post_attention_layernorm"),
            **{n: w.stack(w.dense, f"self_attn.{n}_proj") for n in "qkvo"},
            **{n: w.stack(w.dense, f"mlp.{n}_proj") for n in ("gate", "up", "down")},
        },
    }
    return params if tied else params | {"head": model.lm_head.weight.detach().numpy().T}


def patch_kernel(weight: np.ndarray) -> np.ndarray:
    """A convolution [D, 3, p, p] as the matrix [p * p * 3, D] that it is."""
    return np.stack([kernel.transpose(1, 2, 0).ravel() for kernel in weight], axis=1)


def clip_params(model: torch.nn.Module, prefix: str = "", keep: int | None = None) -> dict:
    """CLIP vision weights as the parameters of a ``VisionTower`` of the first ``keep`` layers."""
    w = Weights(model, prefix, "encoder.layers")
    names = {"q": "q_proj", "k": "k_proj", "v": "v_proj", "o": "out_proj"}
    return {
        "class_token": w.vector("embeddings.class_embedding"),
        "position": w.vector("embeddings.position_embedding.weight"),
        "patch": {"w": patch_kernel(w.vector("embeddings.patch_embedding.weight"))},
        "pre_norm": w.norm("pre_layrnorm"),
        "layers": {
            "attention_norm": w.stack(w.norm, "layer_norm1", keep),
            "mlp_norm": w.stack(w.norm, "layer_norm2", keep),
            **{n: w.stack(w.dense, f"self_attn.{name}", keep) for n, name in names.items()},
            **{n: w.stack(w.dense, f"mlp.{n}", keep) for n in ("fc1", "fc2")},
        },
    }


def dinov2_params(model: torch.nn.Module) -> dict:
    """Dinov2 weights as the parameters of a ``VisionTower`` of all layers."""
    w = Weights(model, "", "encoder.layer")
    kernel = w.vector("embeddings.patch_embeddings.projection.weight")

    def gain(name):
        return {"scale": w.vector(f"{name}.lambda1")}

    return {
        "class_token": w.vector("embeddings.cls_token")[0, 0],
        "position": w.vector("embeddings.position_embeddings")[0],
        "patch": {
            "w": patch_kernel(kernel),
            "b": w.vector("embeddings.patch_embeddings.projection.bias"),
        },
        "layers": {
            "attention_norm": w.stack(w.norm, "norm1"),
            "mlp_norm": w.stack(w.norm, "norm2"),
            "attention_scale": w.stack(gain, "layer_scale1"),
            "mlp_scale": w.stack(gain, "layer_scale2"),
            **{n: w.stack(w.dense, f"attention.{n}_proj") for n in "qkvo"},
            **{n: w.stack(w.dense, f"mlp.{n}") for n in ("fc1", "fc2")},
        },
    }
