"""Write adapters in PEFT's files: ``adapter_config.json`` and ``adapter_model.safetensors``.

PEFT adds alpha / r times B A to a matrix [out, in], with A [r, in] and B [out, r]. Our update is
a @ b, so alpha equals r in the files that we write.
"""

import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from flax.traverse_util import flatten_dict

from mllm.checkpoints.hf import list_tensors, write_together
from mllm.checkpoints.tables import Part, Table
from mllm.files import write_json
from mllm.parallel.launch import is_first

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
WRAPPER = "base_model.model."  # precedes every name in PEFT's files


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
        prefixes = tuple(WRAPPER + prefix for prefix in prefixes)
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
