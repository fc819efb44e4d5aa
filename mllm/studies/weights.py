"""Which of a model's weights a stage trains."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
from jax.sharding import Mesh

from mllm.checkpoints.features import EARS, ENCODERS
from mllm.checkpoints.loaded import Loaded
from mllm.ops.lora import init_lora
from mllm.parallel.place import make_on
from mllm.registry import lookup


@dataclass(frozen=True)
class Weights:
    """A model's weights, divided into those that train and those that do not.

    Attributes:
      trainable: {"params": tree}, {"lora": tree} or both.
      frozen: {"params": tree}, or {} if all train.
      parts: names of the parts of params that train, None for all of them.
      lora: rank, targets and dropout of the adapter, None without one.
    """

    trainable: dict
    frozen: dict
    parts: list[str] | None = None
    lora: dict | None = None

    @property
    def media_stay(self) -> bool:
        """Whether nothing before the decoder trains, so that media tokens stay what they are."""
        return all(set(tree) == {"decoder"} for tree in self.trainable.values())

    @property
    def encoders_stay(self) -> bool:
        """Whether no encoder trains, so that the features of pictures stay what they are."""
        return not any(ENCODERS in tree for tree in self.trainable.values())

    @property
    def ears_stay(self) -> bool:
        """Whether no encoder of sounds trains, so that their features stay what they are."""
        return not any(EARS in tree for tree in self.trainable.values())


def divide(start: Loaded, trainable: str, config, mesh: Mesh) -> Weights:
    """Divide a model's weights as a schedule says.

    Args:
      trainable: see ``what_trains``.

    Raises:
      ValueError: the model has no such part, or a part trains that has an adapter too.
    """
    params = start.variables["params"]
    if trainable == "params":
        return Weights({"params": params}, {})
    parts, adapts = what_trains(trainable, params)
    trains, lora = {}, config.lora.to_dict() if adapts else None
    if adapts:
        options = {name: lora[name] for name in ("rank", "targets", "alpha") if name in lora}
        trains = make_on(mesh, _adapter, params, jax.random.key(config.seed + 1), **options)
        if twice := sorted(set(trains["lora"]) & set(parts)):
            raise ValueError(
                f"trainable {trainable!r} trains {twice[0]!r}, which lora.targets "
                f"{lora['targets']!r} adapts too; leave out one of the two"
            )
    if not parts:
        return Weights(trains, {"params": params}, lora=lora)
    trains = {"params": {name: params[name] for name in parts}, **trains}
    rest = {name: tree for name, tree in params.items() if name not in parts}
    return Weights(trains, {"params": rest}, parts=parts, lora=lora)


def what_trains(trainable: str, params: Mapping[str, Any]) -> tuple[list[str], bool]:
    """Return (names of the parts of a model that train, whether an adapter does).

    Args:
      trainable: "params" (all of them), "lora" (an adapter of ``config.lora``), the name of a part
        of the model, or several parts, and "lora", joined by "+".

    Raises:
      ValueError: the model has no such part.
    """
    if trainable == "params":
        return sorted(params), False
    names = trainable.split("+")
    for name in names:
        known = {**params, "lora": None}
        lookup(known, name, "trainable ('params', 'lora' or parts of it, joined by '+'):")
    return sorted({*names} - {"lora"}), "lora" in names


def _adapter(params: dict, key: jax.Array, **options) -> dict:
    """Return the collection of a fresh adapter."""
    return {"lora": init_lora(params, key, **options)}
