"""The programs of a configuration without arrays: their arguments as shapes, placed on a mesh."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from mllm.checkpoints.features import ENCODERS
from mllm.decoding.generate import generate
from mllm.decoding.prefix import prefill
from mllm.decoding.score import score_choices
from mllm.evaluation.looking import look
from mllm.models import MODELS, config_from_dict
from mllm.models.multimodal import split_layers
from mllm.ops.lora import init_lora
from mllm.parallel.rules import rows_spec, shardings
from mllm.studies.weights import what_trains
from mllm.training import optimizers
from mllm.training.state import TrainState
from mllm.training.step import make_train_step
from mllm.unlearning import Objective, get_objective

QUESTIONS, CHOICES = 5, 4  # about one picture
INSTRUCTION = 64  # tokens of the text under which a picture is read


def training_step(config, method: str, mesh: Mesh, rows: int):
    """Return (the jitted step of a method, its arguments) for ``rows`` rows of ``config.rows``.

    All parameters, parts of them or LoRA train, as ``config.methods`` says: weights that train are
    float32, others in the dtype of activations. If no encoder of an instructed family trains, the
    batch holds what the encoders made of its pictures.
    """
    family, shape = config_from_dict(config.model.to_dict(), "config.model")
    stage = config.methods[method]
    objective = get_objective(method, **stage.options)
    schedule = optimizers.Schedule(peak=1e-4, steps=100, warmup=10, decay="linear")
    optimizer = optimizers.make_optimizer(stage.optimizer, schedule, clip=stage.clip)
    params = MODELS[family].abstract(shape)["params"]
    kept = _cast(params, shape.dtype)
    parts, adapts = what_trains(stage.trainable, params)
    trainable, frozen = {"params": {name: params[name] for name in parts}} if parts else {}, {}
    if adapts:
        options = {"rank": config.lora.rank, "targets": config.lora.targets}
        trainable["lora"] = jax.eval_shape(partial(init_lora, **options), params, jax.random.key(0))
    if rest := {name: tree for name, tree in kept.items() if name not in parts}:
        frozen = {"params": rest}
    elif objective.compares:
        frozen = {"reference": {"params": kept}}
    if objective.salient is not None:
        frozen["salient"] = _cast(trainable, "bool")
    counter = jax.ShapeDtypeStruct((), jnp.int32)
    numbers = {name: jax.ShapeDtypeStruct((), jnp.float32) for name in objective.numbers}
    state = TrainState(counter, trainable, jax.eval_shape(optimizer.init, trainable), numbers)
    looked_at = MODELS[family].instructed and ENCODERS not in parts
    batch = _rows(config, shape, rows, mesh, looked_at, objective)
    step = make_train_step(MODELS[family], shape, objective, optimizer, mesh=mesh)
    return step, (_placed(state, mesh), _placed(frozen, mesh), batch)


def evaluation_calls(config, mesh: Mesh, pictures: int) -> dict[str, tuple]:
    """Return name -> (function, arguments, options) of an evaluation of some pictures: looking at
    them, if that is a program of its own, reading them, scoring the options of all questions, and
    writing the replies. ``function.lower`` lowers the program of a call.
    """
    family, shape = config_from_dict(config.model.to_dict(), "config.model")
    shape = replace(shape, decoder=replace(shape.decoder, kv_form=config.evaluation.kv))
    model = MODELS[family]
    variables = {"params": _cast(model.abstract(shape)["params"], shape.dtype)}
    variables = _placed(jax.eval_shape(split_layers, variables), mesh)
    prompt, asked = _largest(shape)[1] + 32, pictures * QUESTIONS
    instructed = model.instructed
    shown = _arrays(
        mesh,
        **dict.fromkeys(("tokens", "positions", "segments"), ((pictures, prompt), jnp.int32)),
        media=_one_image(pictures, shape, looked_at=instructed),
    )
    options = _arrays(
        mesh,
        **dict.fromkeys(("tokens", "positions", "segments"), ((asked, 128), jnp.int32)),
        **dict.fromkeys(("targets", "sources"), ((asked, 64), jnp.int32)),
        answers=((asked, CHOICES), jnp.int32),
    )
    prompts = _arrays(mesh, prompts=((asked, 128), jnp.int32), lengths=((asked,), jnp.int32))
    written = prompts["prompts"], prompts["lengths"]
    prefix, _ = jax.eval_shape(
        lambda variables, batch: prefill(model, shape, variables, batch), variables, shown
    )
    prefix = jax.tree.map(partial(_kept, mesh=mesh), prefix)
    limits = {"max_new_tokens": 50, "ends": (2,)}
    looking = {}
    if instructed:
        image = _one_image(pictures, shape)["image"]
        images = _arrays(mesh, image={name: image[name] for name in ("values", "extents")})
        looking = {"looking": (look, (model, shape, variables, images), {})}
    return {
        **looking,
        "pictures": (prefill, (model, shape, variables, shown), {}),
        "options": (score_choices, (model, shape, variables, prefix, options), {}),
        "replies": (generate, (model, shape, variables, prefix, *written), limits),
    }


def _rows(config, shape, rows: int, mesh: Mesh, looked_at: bool, objective: Objective) -> dict:
    """Return a batch as ``mllm.data.packing.collate`` makes it, with one picture per row."""
    tokens, supervised, answers = (config.rows[k] for k in ("tokens", "supervised", "answers"))
    arrays = {
        **dict.fromkeys(("tokens", "positions", "segments"), ((rows, tokens), jnp.int32)),
        **dict.fromkeys(("targets", "sources"), ((rows, supervised), jnp.int32)),
        **dict.fromkeys(("weight", "role"), ((rows,), jnp.float32)),
        "loss_mask": ((rows, tokens), jnp.float32),
        "answers": ((rows, answers), jnp.int32),
        "media": _one_image(rows, shape, looked_at),
    }
    if objective.reference == "parent":
        arrays["reference_logprobs"] = ((rows, answers), jnp.float32)
    if objective.twin:
        arrays["twins"] = ((rows, answers), jnp.int32)
    return _arrays(mesh, **arrays)


def _largest(shape) -> tuple[int, int]:
    """Return the tiles and the tokens of the largest picture of a model."""
    return getattr(shape, "largest", (1, shape.image_tokens))


def _one_image(rows: int, shape, looked_at: bool = False) -> dict:
    """Return the (shape, dtype) of the media of rows with one picture each, the largest.

    Args:
      looked_at: whether they are what the encoders of an instructed family made of them.
    """
    side, (tiles, _) = shape.vision.image_size, _largest(shape)
    if looked_at:
        image = {
            "features": ((rows, 1, shape.vision.features), jnp.dtype(shape.dtype)),
            "instructions": ((rows, 1, INSTRUCTION), jnp.int32),
            **dict.fromkeys(("slots", "lengths"), ((rows, 1), jnp.int32)),
        }
        return {"image": image}
    image = {
        "values": ((rows, tiles, side, side, 3), jnp.uint8),
        **dict.fromkeys(("slots", "lengths"), ((rows, tiles), jnp.int32)),
        "extents": ((rows, tiles, 2), jnp.int32),
    }
    if hasattr(shape, "largest"):
        image["offsets"] = ((rows, tiles, shape.image_tokens), jnp.int32)
    return {"image": image}


def _arrays(mesh: Mesh, **arrays) -> dict:
    def describe(array: tuple) -> jax.ShapeDtypeStruct:
        shape, dtype = array
        sharding = NamedSharding(mesh, rows_spec(shape[0], mesh))
        return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)

    return jax.tree.map(describe, arrays, is_leaf=lambda node: isinstance(node, tuple))


def _kept(leaf, mesh: Mesh):
    """Return keys and values [rows, S, K, C], or their scales [rows, S, K], placed like rows and
    heads.
    """
    spec = list(rows_spec(leaf.shape[0], mesh)) or [None]
    if leaf.ndim > 2 and leaf.shape[2] % mesh.shape["tensor"] == 0:
        spec += [None, "tensor"]
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=NamedSharding(mesh, P(*spec)))


def _cast(tree, dtype: str):
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.dtype(dtype)), tree)


def _placed(tree, mesh: Mesh):
    return jax.tree.map(
        lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
        tree,
        shardings(tree, mesh),
    )
