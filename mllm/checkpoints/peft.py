"""Adapters in PEFT's files: ``adapter_config.json`` and ``adapter_model.safetensors``.

PEFT adds alpha / r times B A to a matrix [out, in], with A [r, in] and B [out, r]. Our update is
a @ b, so alpha equals r in the files that we write, and b is scaled in those that we read.
"""

import re
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict

from mllm.checkpoints.hf import Place, find_prefixes, list_tensors, read_tree, write_together
from mllm.checkpoints.tables import Part, Table
from mllm.checkpoints.tensor_files import TensorFiles
from mllm.files import read_json, write_json
from mllm.ops.lora import init_lora
from mllm.parallel.launch import is_first

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_WRAPPER = "base_model.model."  # precedes every name in PEFT's files
# Initialisations of an adapter that leave the base model unchanged; PEFT's others change it.
_PLAIN_STARTS = (True, False, None, "gaussian", "eva", "orthogonal")
# Options that change the computation; without them the update is alpha / r times B A.
_FOREIGN = (
    "alora_invocation_tokens",
    "alpha_pattern",
    "arrow_config",
    "fan_in_fan_out",
    "kasa_config",
    "layer_replication",
    "lora_bias",
    "modules_to_save",
    "monteclora_config",
    "rank_pattern",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_dora",
    "use_qalora",
    "use_rslora",
    "velora_config",
)


def write_adapter(
    folder: Path, lora: dict, table: Table, base_model: str, *, dropout: float = 0.0
) -> None:
    """Write an adapter that ``PeftModel.from_pretrained`` loads onto the exported model.

    Every process makes the same call; the first one writes.

    Args:
      lora: the collection "lora", leaves a [..., I, R] and b [..., R, O].
      table: the table of the family.
      base_model: path or name of the base model, which PEFT records.
      dropout: the dropout of training, which PEFT records.

    Raises:
      ValueError: the folder already holds an adapter, the ranks differ, or the family has no module
        for a leaf or keeps its matrix fused with others.
    """
    folder = Path(folder)
    if (folder / WEIGHTS).exists():
        raise ValueError(f"{folder / WEIGHTS}: exists already; export to a new folder")
    leaves = flatten_dict(lora, sep="/")
    ranks = {path: leaf.shape[-1] for path, leaf in leaves.items() if path.endswith("/a")}
    rank = max(ranks.values())
    for path, found in ranks.items():
        if found != rank:
            raise ValueError(f"lora/{path}: expected rank {rank}, that of others, found {found}")
    adapters = _adapter_table(table)
    _refuse_fused(folder / WEIGHTS, adapters, leaves)
    tensors = list_tensors(lora, adapters)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_model,
        "inference_mode": True,
        "r": rank,
        "lora_alpha": rank,
        "lora_dropout": dropout,
        "target_modules": _module_pattern(table, leaves),
        "bias": "none",
        "fan_in_fan_out": False,
        "modules_to_save": None,
        "use_dora": False,
        "use_rslora": False,
    }
    if is_first():
        write_json(folder / CONFIG, config)
    write_together(folder / WEIGHTS, tensors)


def read_adapter(
    folder: Path, table: Table, params: dict, *, place: Place | None = None
) -> tuple[dict, dict]:
    """Read an adapter that PEFT wrote.

    Args:
      table: the table of the family.
      params: the parameters of the model as ShapeDtypeStructs.
      place: (path, shape) -> the sharding of a leaf, where paths begin with ``lora/``.

    Returns:
      (the collection "lora" in float32, scaled so that the update is a @ b; {"rank", "targets",
      "dropout"}, where ``targets`` is the pattern of ``mllm.ops.lora.init_lora``).

    Raises:
      FileNotFoundError, ValueError: a file is missing or damaged, the adapter is not plain LoRA or
        adapts a fused matrix, or a tensor is missing, unexpected or misshapen; the message names
        the file and the key.
    """
    folder = Path(folder)
    options = _read_config(folder / CONFIG)
    files = TensorFiles(folder / WEIGHTS, [folder / WEIGHTS])
    adapters = _adapter_table(table)
    paths = {
        path
        for part, prefix in zip(adapters, find_prefixes(files, adapters), strict=True)
        for name in files
        if name.startswith(prefix)
        for path in part.find(name.removeprefix(prefix))
    }
    _refuse_fused(files.where, adapters, paths)
    matrices = sorted({path.rpartition("/")[0] for path in paths})
    if not matrices:
        raise ValueError(f"{files.where}: holds no adapter of a module of this family")
    targets = f"^({'|'.join(map(re.escape, matrices))})$"
    adapter = partial(init_lora, rank=options["rank"], targets=targets)
    wanted = jax.eval_shape(adapter, params, jax.random.key(0))
    within = None if place is None else lambda path, shape: place(f"lora/{path}", shape)
    # PEFT may hold adapters of layers that the model does not run; they have no effect.
    lora, _ = read_tree(files, adapters, wanted, dtype=jnp.float32, place=within)
    scale = options.pop("scale")
    scaled = jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf * scale if path[-1].key == "b" else leaf, lora
    )
    return scaled, {**options, "targets": targets}


def _read_config(where: Path) -> dict:
    config = read_json(where)

    def expect(key: str, fits, expected: str):
        if not fits(config.get(key)):
            raise ValueError(
                f"{where}: key {key!r}: expected {expected}, found {config.get(key)!r:.80}"
            )
        return config.get(key)

    expect("peft_type", lambda value: value == "LORA", "'LORA'")
    expect("bias", lambda value: value in (None, "none"), "'none'; biases are not read")
    for key in _FOREIGN:
        expect(key, lambda value: not value, "none of it: only plain LoRA is read")
    expect(
        "init_lora_weights",
        lambda value: value in _PLAIN_STARTS,
        "one that leaves the model below as it is; convert the adapter with PEFT first",
    )
    rank = expect("r", lambda value: type(value) is int and value > 0, "a positive integer")
    numbers = (int, float)
    alpha = expect("lora_alpha", lambda value: type(value) in numbers, "a number")
    dropout = expect("lora_dropout", lambda value: type(value) in numbers, "a number")
    return {"rank": rank, "scale": alpha / rank, "dropout": float(dropout)}


def _adapter_table(table: Table) -> Table:
    """Return the table of a family's adapters: two tensors for each matrix."""

    def adapt(part: Part) -> Part:
        weights = {
            f"{name.removesuffix('weight')}lora_{leaf.upper()}.weight": (
                f"{path.removesuffix('w')}{leaf}",
                "transposed",
            )
            for name, (path, layout) in _matrices(part).items()
            for leaf in "ab"
        }
        prefixes = part.prefixes
        if prefixes[1:] == (f"model.{prefixes[0]}",):
            # After the wrapper, the old name ends like the new one, so PEFT would not rename it.
            prefixes = prefixes[::-1]
        prefixes = tuple(_WRAPPER + prefix for prefix in prefixes)
        return replace(part, prefixes=prefixes, weights=weights, carried=None, tied_to=None)

    return tuple(map(adapt, table))


def _refuse_fused(where: Path, adapters: Table, paths: Collection[str]) -> None:
    """Refuse adapters of fused matrices: PEFT adapts the whole of them, we adapt the parts."""
    for part in adapters:
        for name in part.weights:
            leaves = part.find(name)
            adapted = [leaf for leaf in leaves if leaf in paths]
            if len(leaves) > 1 and adapted:
                raise ValueError(
                    f"{where}: {name.format('*')!r}: expected no adapter on a fused matrix, which "
                    f"PEFT adapts as a whole and we adapt part by part, found "
                    f"{', '.join(adapted)}; merge the adapter into the model and move that"
                )


def _matrices(part: Part) -> dict[str, tuple[str, str]]:
    return {
        name: (path, layout)
        for name, (path, layout) in part.weights.items()
        if layout == "transposed" and path.rpartition("/")[2] == "w"
    }


def _module_pattern(table: Table, leaves: dict) -> str:
    """Return a pattern of exactly the modules with an adapter, for all transformers versions."""
    choices = []
    for part in table:
        prefixes = "|".join(map(re.escape, part.prefixes))
        for name, (path, _) in _matrices(part).items():
            leaf = leaves.get(f"{part.path}/{path.removesuffix('w')}a")
            if leaf is None:
                continue
            layers = f"(?:{'|'.join(map(str, range(leaf.shape[0])))})"
            module = map(re.escape, name.removesuffix(".weight").split("{}"))
            choices.append(f"(?:{prefixes}){layers.join(module)}")
    return "|".join(choices)
