"""How a stage's model begins where that is not quite its parent's: fields of its configuration that
the stage changes, parts of its parameters that are drawn anew, its adapter merged.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import jax
from flax.traverse_util import flatten_dict
from jax.sharding import Mesh

from mllm.checkpoints.loaded import Loaded
from mllm.parallel.place import make_on
from mllm.registry import lookup
from mllm.studies.stage import Stage
from mllm.studies.weights import what_trains

FRESH = 3  # separates these draws from the others of a seed


def changed(loaded: Loaded, stage: Stage) -> Loaded:
    """Return a model, with or without its weights, whose configuration is changed as a stage says.

    Raises:
      ValueError: there is no such field, or other parameters would follow from it.
    """
    if not stage.changes:
        return loaded
    shape = loaded.config
    for key, value in stage.changes.items():
        where = f"field of a model that stage {stage.name!r} changes ({key!r}):"
        shape = _with(shape, key.split("."), value, where)
    there, wanted = (_leaves(loaded.model.abstract(config)) for config in (loaded.config, shape))
    for name in {**there, **wanted}:
        if there.get(name) != wanted.get(name):
            found, expected = (
                "absent" if leaf is None else leaf for leaf in (there.get(name), wanted.get(name))
            )
            raise ValueError(
                f"stage {stage.name!r}: changes {dict(stage.changes)} asks for other parameters: "
                f"{name} is {found} in the model it starts from and would be {expected}; give a "
                "model of that shape to the stage that begins with random weights"
            )
    return replace(loaded, config=shape)


def _with(config, path: list[str], value: Any, where: str):
    """Return a configuration with another value of a field."""
    name, *rest = path
    known = {field.name: getattr(config, field.name) for field in fields(config)}
    found = lookup(known, name, where)
    if rest and not is_dataclass(found):
        raise ValueError(f"unknown {where} {name!r} is {found!r}, which has no fields")
    if rest:
        value = _with(found, rest, value, where)
    elif isinstance(value, list):
        value = tuple(value)
    return replace(config, **{name: value})


def _leaves(variables: Mapping[str, Any]) -> dict[str, str]:
    """Return shape and dtype of each parameter by its path."""
    flat = flatten_dict(variables["params"], sep="/")
    return {name: f"{leaf.dtype}{list(leaf.shape)}" for name, leaf in flat.items()}


def renewed(loaded: Loaded, stage: Stage, seed: int, mesh: Mesh) -> Loaded:
    """Return a model with the parts of ``Stage.fresh`` drawn anew.

    Args:
      seed: of the stage.

    Raises:
      ValueError: there is no such part, or it does not train, so that its weights would be lost.
    """
    if not stage.fresh:
        return loaded
    params = loaded.variables["params"]
    trains = what_trains(stage.schedule.trainable, params)[0] if stage.trains else []
    for name in stage.fresh:
        lookup(params, name, f"part of a model that stage {stage.name!r} draws anew:")
        if name not in trains:
            raise ValueError(
                f"stage {stage.name!r}: draws {name!r} anew, but trains {trains or 'nothing'}; "
                "name the part in the trainable of its schedule too"
            )
    key = jax.random.fold_in(jax.random.key(seed), FRESH)
    static = {"model": loaded.model, "config": loaded.config, "names": tuple(stage.fresh)}
    drawn = make_on(mesh, _draw, key, **static)["params"]
    old = {name: params[name] for name in drawn}
    drawn = jax.tree.map(lambda new, old: new.astype(old.dtype), drawn, old)
    return replace(loaded, variables={**loaded.variables, "params": {**params, **drawn}})


def _draw(key: jax.Array, model, config, names: tuple[str, ...]) -> dict:
    """Return fresh parameters of some parts; the compiler leaves out the others."""
    params = model.init(config, key)["params"]
    return {"params": {name: params[name] for name in names}}


def as_start(loaded: Loaded, schedule, mesh: Mesh) -> Loaded:
    """Return a model as training starts from it: its adapter merged, its vocabulary as chosen."""
    return with_vocabulary(loaded.merged(mesh), schedule.vocabulary)


def with_vocabulary(start: Loaded, vocabulary: str) -> Loaded:
    """Return a model that predicts "all" tokens of its head, or only those of its "tokenizer".

    Raises:
      ValueError: another name, or a tokenizer with more tokens than the head.
    """
    lookup(dict.fromkeys(("all", "tokenizer")), vocabulary, "value of a stage's vocabulary:")
    decoder = start.config.decoder
    if vocabulary == "all":
        return start
    count = start.processor.tokenizer.get_vocab_size()
    if count > decoder.vocab_size:
        raise ValueError(
            f"vocabulary is 'tokenizer', whose {count} tokens are more than the "
            f"{decoder.vocab_size} rows of the model's head; set the stage's vocabulary to 'all'"
        )
    return replace(start, config=replace(start.config, decoder=replace(decoder, spoken=count)))
