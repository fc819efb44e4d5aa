"""The programs of a configuration without arrays: their arguments as shapes, placed on a mesh."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from mllm.decoding.generate import generate
from mllm.decoding.prefix import prefill
from mllm.decoding.score import score_choices
from mllm.models import MODELS, config_from_dict
from mllm.models.multimodal import split_layers
from mllm.ops.lora import init_lora
from mllm.parallel.rules import rows_spec, shardings
from mllm.training import optimizers
from mllm.training.state import TrainState
from mllm.training.step import make_train_step
from mllm.unlearning import get_objective

QUESTIONS, CHOICES = 5, 4  # about one picture


def training_step(config, method: str, mesh: Mesh, rows: int):
    """Return (the jitted step of a method, its arguments) for ``rows`` rows of ``config.rows``.

    LoRA, or all parameters, as ``config.methods`` says: weights that train are float32, others in
    the dtype of activations.
    """
    family, shape = config_from_dict(config.model.to_dict(), "config.model")
    stage = config.methods[method]
    objective = get_objective(method, **stage.options)
    schedule = optimizers.Schedule(peak=1e-4, steps=100, warmup=10, decay="linear")
    optimizer = optimizers.make_optimizer(stage.optimizer, schedule, clip=stage.clip)
    params = MODELS[family].abstract(shape)["params"]
    kept = _cast(params, shape.dtype)
    if stage.trainable == "lora":
        options = {"rank": config.lora.rank, "targets": config.lora.targets}
        adapter = jax.eval_shape(partial(init_lora, **options), params, jax.random.key(0))
        trainable, frozen = {"lora": adapter}, {"params": kept}
    else:
        trainable, frozen = {"params": params}, {}
        if "divergence" in objective.needs:
            frozen = {"reference": {"params": kept}}
    counter = jax.ShapeDtypeStruct((), jnp.int32)
    state = TrainState(counter, trainable, jax.eval_shape(optimizer.init, trainable))
    batch = _rows(config, shape, rows, mesh, referenced=objective.reference == "parent")
    step = make_train_step(MODELS[family], shape, objective, optimizer, mesh=mesh)
    return step, (_placed(state, mesh), _placed(frozen, mesh), batch)


def evaluation_calls(config, mesh: Mesh, pictures: int) -> dict[str, tuple]:
    """Return name -> (function, arguments, options) of an evaluation of some pictures: reading
    them, scoring the options of all questions, and writing the replies. ``function.lower`` lowers
    the program of a call.
    """
    family, shape = config_from_dict(config.model.to_dict(), "config.model")
    shape = replace(shape, decoder=replace(shape.decoder, kv_form=config.evaluation.kv))
    model = MODELS[family]
    variables = {"params": _cast(model.abstract(shape)["params"], shape.dtype)}
    variables = _placed(jax.eval_shape(split_layers, variables), mesh)
    prompt, asked = _largest(shape)[1] + 32, pictures * QUESTIONS
    shown = _arrays(
        mesh,
        **dict.fromkeys(("tokens", "positions", "segments"), ((pictures, prompt), jnp.int32)),
        media=_one_image(pictures, shape),
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
    return {
        "pictures": (prefill, (model, shape, variables, shown), {}),
        "options": (score_choices, (model, shape, variables, prefix, options), {}),
        "replies": (generate, (model, shape, variables, prefix, *written), limits),
    }


def _rows(config, shape, rows: int, mesh: Mesh, *, referenced: bool) -> dict:
    """Return a batch as ``mllm.data.packing.collate`` makes it, with one picture per row."""
    tokens, supervised, answers = (config.rows[k] for k in ("tokens", "supervised", "answers"))
    arrays = {
        **dict.fromkeys(("tokens", "positions", "segments"), ((rows, tokens), jnp.int32)),
        **dict.fromkeys(("targets", "sources"), ((rows, supervised), jnp.int32)),
        **dict.fromkeys(("weight", "role"), ((rows,), jnp.float32)),
        "loss_mask": ((rows, tokens), jnp.float32),
        "answers": ((rows, answers), jnp.int32),
        "media": _one_image(rows, shape),
    }
    if referenced:
        arrays["reference_logprobs"] = ((rows, answers), jnp.float32)
    return _arrays(mesh, **arrays)


def _largest(shape) -> tuple[int, int]:
    """Return the tiles and the tokens of the largest picture of a model."""
    return getattr(shape, "largest", (1, shape.image_tokens))


def _one_image(rows: int, shape) -> dict:
    """Return the (shape, dtype) of the media of rows with one picture each, the largest."""
    side, (tiles, _) = shape.vision.image_size, _largest(shape)
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
