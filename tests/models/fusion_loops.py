"""Fusion as loops in float64, written from the formulas; parameters are those of the module."""

import numpy as np
from scipy.special import erf, expit


def layer_norm(x, leaf, eps=1e-5):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + eps) * leaf["scale"] + leaf["b"]


def linear(x, leaf):
    return x @ leaf["w"] + leaf.get("b", 0)


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def gelu(x):
    return x * (1 + erf(x / np.sqrt(2))) / 2


def silu(x):
    return x * expit(x)


def attend(queries, keys, values, heads):
    """Softmax attention of one picture, one head and one query at a time; also its weights."""
    width = queries.shape[1] // heads
    read, weights = np.zeros_like(queries), np.zeros((heads, len(queries), len(keys)))
    for h in range(heads):
        part = slice(h * width, (h + 1) * width)
        for i, query in enumerate(queries[:, part]):
            weights[h, i] = softmax(keys[:, part] @ query / np.sqrt(width))
            read[i, part] = weights[h, i] @ values[:, part]
    return read, weights


def bilinear(values, side):
    """Resize a square grid of values upwards to side x side, sampling at the centres of cells."""
    old = round(len(values) ** 0.5)
    grid = values.reshape(old, old, -1)
    centres = np.clip((np.arange(side) + 0.5) * old / side - 0.5, 0, old - 1)
    low = np.floor(centres).astype(int)
    high, part = np.minimum(low + 1, old - 1), centres - low
    rows = grid[low] * (1 - part)[:, None, None] + grid[high] * part[:, None, None]
    found = rows[:, low] * (1 - part)[:, None] + rows[:, high] * part[:, None]
    return found.reshape(side * side, -1)


def positions(side, width):
    """Sines and cosines of row and column, each of a quarter of the width."""
    table = np.zeros((side * side, width))
    for row in range(side):
        for column in range(side):
            for k in range(width // 4):
                rate = 10_000 ** -(k / (width // 4))
                table[row * side + column, k] = np.sin(row * rate)
                table[row * side + column, width // 4 + k] = np.cos(row * rate)
                table[row * side + column, width // 2 + k] = np.sin(column * rate)
                table[row * side + column, 3 * width // 4 + k] = np.cos(column * rate)
    return table


def fuse(config, names, params, views, embedded):
    """Return (tokens, gates [L, N], bank [m]) of one picture; views and embedded hold what is real,
    but for a residual of the encoder, for which nothing may be padding.
    """
    c, side = config, round(config.queries**0.5)
    sentence = layer_norm(embedded.mean(0), params["sentence"]["norm"])
    views = {n: layer_norm(views[n], params[f"norm_{n}"]) for n in names}
    bank = softmax(params["keys"] @ linear(sentence, params["asked"]))
    if not c.bank_on:
        bank = np.full(c.bank, 1 / c.bank)
    first = sum(a * v for a, v in zip(bank, params["sets"], strict=True)) + positions(side, c.width)
    x, gates = first, []
    for number in range(c.layers):
        layer = of_layer(params["layers"], number)
        keys = {n: linear(views[n], layer[f"k_{n}"]) for n in names}
        values = {n: linear(views[n], layer[f"v_{n}"]) for n in names}
        own = {n: x if c.residual == "query" else bilinear(values[n], side) for n in names}
        if c.gate == "joint":
            every = [np.concatenate([part[n] for n in names]) for part in (keys, values)]
            read, weights = attend(x, *every, c.heads)
            residual = sum(own.values()) / len(names)
            mixed = layer_norm(linear(read, layer["o"]) + residual, layer["read_norm"])
            ends = np.cumsum([len(keys[n]) for n in names])[:-1]
            g = np.array([w.sum(-1).mean() for w in np.split(weights, ends, axis=-1)])
        else:
            read = {n: attend(x, keys[n], values[n], c.heads)[0] for n in names}
            f = {
                n: layer_norm(linear(read[n], layer["o"]) + own[n], layer["read_norm"])
                for n in names
            }
            g = gate(c, names, layer["choice"], sentence, f)
            mixed = sum(g[i] * f[n] for i, n in enumerate(names))
        x = x + mixed
        h = layer_norm(x, layer["attention_norm"])
        q, k, v = (linear(h, layer[f"self_{n}"]) for n in "qkv")
        x = x + linear(attend(q, k, v, c.heads)[0], layer["self_o"])
        h = layer_norm(x, layer["mlp_norm"])
        inner = silu(linear(h, layer["gate"])) * linear(h, layer["up"])
        x = x + linear(inner, layer["down"])
        gates.append(g)
    return layer_norm(x + first, params["norm"]), np.array(gates), bank


def gate(config, names, leaf, sentence, read):
    kinds = {"uniform": np.full(len(names), 1 / len(names))}
    if config.gate.startswith("fixed:"):
        return np.array([float(config.gate == f"fixed:{n}") for n in names])
    if config.gate in kinds:
        return kinds[config.gate]
    x = leaf["text"]["b"].copy()
    if "text" in config.gate:
        x = x + sentence @ leaf["text"]["w"]
    if "vision" in config.gate:
        x = x + sum(read[n].mean(0) @ leaf[f"view_{n}"]["w"] for n in names)
    return softmax(np.array([linear(gelu(x), leaf[f"score_{n}"])[0] for n in names]))


def of_layer(tree, number):
    """One layer of a stack."""
    if isinstance(tree, dict):
        return {key: of_layer(value, number) for key, value in tree.items()}
    return tree[number]


def in_float64(tree):
    if hasattr(tree, "items"):
        return {key: in_float64(value) for key, value in tree.items()}
    return np.asarray(tree, np.float64)
