"""The folder of a model: model.json, its processor, and its weights or a parent that has them.

model.json: {"schema": 1, "model": config with its family, "collections": ["params"] | ["lora"] |
[], "parts": names of the parts of params in this folder (null: all), "lora": {"rank", "targets"} |
null, "parent": of ``parents.describe_parent`` | null, "dtype": dtype that the parent's weights are
cast to | null, "system_prompt": str | null}. What a folder does not hold comes from its parent,
which may be a Hugging Face folder. ``huggingface/`` keeps the other content of such a folder.
"""

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.sharding import Mesh

from mllm.checkpoints.contents import below, require_same_files
from mllm.checkpoints.hf_folder import describe_folder, is_hf_folder, no_model, read_folder
from mllm.checkpoints.loaded import Loaded, read_origin, write_origin
from mllm.checkpoints.orbax import UNREADABLE, Checkpoints, abstract_on, brief
from mllm.checkpoints.parents import comparing_parent, describe_parent, find_parent
from mllm.checkpoints.record import ORIGIN, RUN, SAVED, read_record, write_saved
from mllm.data.processor import Processor
from mllm.files import read_json, write_json
from mllm.models import MODELS, config_from_dict, config_to_dict
from mllm.ops.lora import init_lora
from mllm.parallel.launch import is_first
from mllm.parallel.mesh import one_device


def combine(below: dict, above: dict) -> dict:
    """Return the variables of ``below`` with the parts that ``above`` holds replaced."""
    params = {**below.get("params", {}), **above.get("params", {})}
    lora = above.get("lora", below.get("lora"))
    return {"params": params} if lora is None else {"params": params, "lora": lora}


def write_description(
    folder: Path,
    loaded: Loaded,
    *,
    collections: list[str],
    parts: list[str] | None = None,
    parent: Path | None = None,
    dtype: str | None = None,
) -> None:
    """Write model.json and the processor, which reading the checkpoints requires."""
    if not is_first():
        return
    folder.mkdir(parents=True, exist_ok=True)
    loaded.processor.save(folder)
    description = {
        "schema": 1,
        "model": config_to_dict(loaded.family, loaded.config),
        "collections": collections,
        "parts": parts,
        "lora": loaded.lora,
        "parent": None if parent is None else describe_parent(parent, folder),
        "dtype": dtype,
        "system_prompt": loaded.system_prompt,
    }
    if loaded.origin is not None and "params" in collections and parts is None:
        write_origin(folder / ORIGIN, loaded.origin)
    write_json(folder / "model.json", description)


def save_model(folder: Path, loaded: Loaded) -> None:
    """Write a self-contained folder: description, processor and all weights, as step 0, and the
    digests of all files.
    """
    write_description(folder, loaded, collections=sorted(loaded.variables))
    with Checkpoints(folder / "checkpoints") as checkpoints:
        if checkpoints.latest() is not None:
            raise ValueError(f"{folder}: holds a checkpoint already; save to a new folder")
        checkpoints.save(0, loaded.variables, {})
    if is_first():
        write_saved(folder)


def load_model(folder: Path, *, dtype: str | None = None, mesh: Mesh | None = None) -> Loaded:
    """Read a folder in our format or in that of Hugging Face.

    Args:
      dtype: dtype to cast parameters and activations to; None keeps the stored ones.
      mesh: where weights are placed as they are read; None is the first device.

    Raises:
      FileNotFoundError, ValueError: the message names the file, what was found and what was
        expected.
    """
    folder, mesh = Path(folder), mesh or one_device()
    where = folder / "model.json"
    ours = any(os.path.lexists(path) for path in (where, folder / RUN, folder / SAVED))
    if not ours and folder.is_dir():
        if not is_hf_folder(folder):
            raise no_model(folder)
        return read_folder(folder, dtype=dtype, mesh=mesh)
    description = read_json(where)
    keys = {"model", "collections", "parts", "lora", "parent", "system_prompt"}
    missing = keys - set(description)
    if missing:
        raise ValueError(f"{where}: keys {sorted(missing)} are missing")
    family, config = config_from_dict(description["model"], str(where))
    processor, record = Processor.load(folder), read_record(folder)
    if record is not None:
        require_same_files(below(folder, record.files), record.files, record.path)
    if dtype is not None:
        config = replace(config, dtype=str(jnp.dtype(dtype)))
    variables: dict = {}
    origin = read_origin(folder / ORIGIN) if (folder / ORIGIN).is_dir() else None
    if "params" not in description["collections"] or description["parts"] is not None:
        if description["parent"] is None:
            raise ValueError(
                f"{where}: neither all params of its own nor a parent to take them from"
            )
        parent = load_parent(folder, where, description, dtype, mesh)
        # An adapter applies to the parent as it answers, with the parent's own adapter merged.
        adapted = "lora" in description["collections"]
        variables = parent.merged(mesh).variables if adapted else dict(parent.variables)
        origin = origin or parent.origin
    if description["collections"]:
        wanted = _abstract(where, family, config)
        if "lora" in description["collections"]:
            options = dict(description["lora"])
            adapter = partial(init_lora, rank=options["rank"], targets=options["targets"])
            wanted["lora"] = jax.eval_shape(adapter, wanted["params"], jax.random.key(0))
        wanted = {name: wanted[name] for name in description["collections"]}
        parts = description["parts"]
        if parts is not None:
            wanted["params"] = {name: wanted["params"][name] for name in parts}
        step = None if record is None else record.step
        variables = combine(variables, _restore(folder, step, wanted, dtype, mesh))
    if origin is not None and dtype is not None:
        origin = origin.cast(dtype)
    prompt = description["system_prompt"]
    return Loaded(family, config, variables, processor, prompt, description["lora"], origin)


def load_parent(
    folder: Path, where: Path, description: dict, dtype: str | None, mesh: Mesh
) -> Loaded:
    """Return the model of a folder's parent, which must be what the folder's description says."""
    parent = find_parent(folder, description["parent"], where)
    below_dtype = dtype or description.get("dtype")
    with comparing_parent(parent, description["parent"], where):
        return load_model(parent, dtype=below_dtype, mesh=mesh)


def describe_model(folder: Path) -> Loaded:
    """Return the model of a folder in our format or in that of Hugging Face, without its weights.

    Raises:
      FileNotFoundError, ValueError: the message names the file.
    """
    folder = Path(folder)
    where = folder / "model.json"
    if not os.path.lexists(where) and folder.is_dir():
        return describe_folder(folder)
    description = read_json(where)
    if "model" not in description:
        raise ValueError(f"{where}: key 'model' is missing")
    family, config = config_from_dict(description["model"], str(where))
    prompt = description.get("system_prompt")
    return Loaded(family, config, {}, Processor.load(folder), prompt, description.get("lora"))


def _abstract(where: Path, family: str, config) -> dict:
    try:
        return MODELS[family].abstract(config)
    except (TypeError, ValueError) as error:  # of shapes that do not fit together
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{where}: key 'model': its sizes fit no model ({reason})") from None


def _restore(folder: Path, step: int | None, wanted: dict, dtype: str | None, mesh: Mesh) -> dict:
    """Return the trees of a checkpoint on ``mesh``; without ``dtype``, as stored.

    Args:
      step: of the checkpoint; None for the last one.
    """
    where = folder / "checkpoints"
    if not where.is_dir():
        raise FileNotFoundError(
            f"{where}: no such folder; was the run that should write it stopped?"
        )
    with Checkpoints(where, writes=False) as checkpoints:
        step = checkpoints.latest() if step is None else step
        if step is None:
            raise FileNotFoundError(f"{where}: holds no complete checkpoint")
        checkpoints.require_whole(step, wanted)
        try:
            if dtype is None:
                wanted = {
                    k: _as_stored(tree, checkpoints.stored(step, k)) for k, tree in wanted.items()
                }
            return checkpoints.restore(step, abstract_on(mesh, wanted, dtype))
        except UNREADABLE as error:
            raise ValueError(
                f"{where}, step {step}: does not fit model.json ({brief(error)})"
            ) from None


def _as_stored(wanted: dict, stored: dict) -> dict:
    """Give abstract leaves the dtypes that a checkpoint holds under the same paths."""
    held = flatten_dict(stored)
    return unflatten_dict(
        {
            path: jax.ShapeDtypeStruct(leaf.shape, held.get(path, leaf).dtype)
            for path, leaf in flatten_dict(wanted).items()
        }
    )
