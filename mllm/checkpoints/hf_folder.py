"""Read and write Hugging Face folders: config.json, weights, tokenizer and processor files."""

import json
import os
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.sharding import Mesh, NamedSharding

from mllm.checkpoints.hf import find_prefixes, read_tree, write_tree
from mllm.checkpoints.hf_config import family_of, read_config, text_kind_of
from mllm.checkpoints.hf_config_export import write_config
from mllm.checkpoints.hf_processors import pixel_statistics, read_processor
from mllm.checkpoints.loaded import CONFIG, Loaded, NoProcessor, Origin
from mllm.checkpoints.new_folder import new_folder
from mllm.checkpoints.peft import CONFIG as ADAPTER
from mllm.checkpoints.peft import WEIGHTS, write_adapter
from mllm.checkpoints.peft_files import as_folder, overlay, own_files
from mllm.checkpoints.peft_read import EMBED, HEAD, Adapter, read_adapter
from mllm.checkpoints.quantised import Dequantised, open_weights, without_quantisation
from mllm.checkpoints.small_files import read_small_files
from mllm.checkpoints.tables import Table, table_of
from mllm.checkpoints.tensor_files import open_folder
from mllm.data.hf_chat import chosen_format
from mllm.data.hf_processor import keep_chat_format, write_hf_processor
from mllm.data.processor import Processor
from mllm.files import read_json, write_json
from mllm.models import MODELS
from mllm.ops.lora import merge_lora
from mllm.parallel.launch import is_first
from mllm.parallel.mesh import one_device
from mllm.parallel.place import fetch
from mllm.parallel.rules import spec_of

READ = (".json", ".jinja", ".model", ".txt")  # small files that answers may depend on


def is_hf_folder(folder: Path) -> bool:
    """Return whether a folder is a Hugging Face model, or a PEFT adapter for one."""
    return any(os.path.lexists(folder / name) for name in (CONFIG, ADAPTER))


def no_model(folder: Path) -> ValueError:
    """Return the error to raise about a folder that holds no model."""
    held = [path.parent for path in sorted(folder.glob("snapshots/*/config.json"))]
    held += [path.parent for path in sorted(folder.glob("*/*config.json"))]
    hint = f"; one is in {held[0]}" if held else ""
    return ValueError(
        f"{folder}: found a folder of {len(list(folder.iterdir()))} entries, expected a "
        "folder with config.json (Hugging Face), adapter_config.json (PEFT) or model.json (ours), "
        f"or a .gguf file{hint}"
    )


def read_folder(folder: Path, *, dtype: str | None = None, mesh: Mesh | None = None) -> Loaded:
    """Read a Hugging Face folder, or a PEFT adapter whose config names the folder of its base.

    A folder without a tokenizer or an image processor gives a model that computes only logits.

    Args:
      dtype: dtype to cast weights and activations to; None keeps the stored one.
      mesh: where weights are placed as they are read; None is the first device.

    Raises:
      FileNotFoundError, ValueError: the message names file, key, expected and found.
    """
    folder = Path(folder)
    if os.path.lexists(folder / ADAPTER):
        return _read_adapted(folder, dtype, mesh)
    where = folder / CONFIG
    raw = read_json(where)
    family = family_of(where, raw)
    small = read_small_files(folder)
    files = open_weights(folder, raw)
    config = read_config(where, raw, pixel_statistics(folder, family), dtype or "float32")
    table = table_of(family, text_kind_of(raw))
    tree, carried = read_tree(
        files,
        table,
        MODELS[family].abstract(config)["params"],
        dtype=dtype,
        place=_places(mesh),
    )
    stored = dtype or str(tree["decoder"]["embed"].dtype)
    config = replace(config, dtype=str(jnp.dtype(stored)))
    processor, ids = read_processor(folder, family, config, raw)
    if isinstance(files, Dequantised):
        small[CONFIG] = json.dumps(without_quantisation(raw), indent=2).encode()
    origin = Origin(small, find_prefixes(files, table), carried)
    origin = origin if dtype is None else origin.cast(dtype)
    return Loaded(family, config, {"params": tree}, processor, origin=origin, **ids)


def describe_folder(folder: Path) -> Loaded:
    """Return the model of ``read_folder`` without its weights.

    Raises:
      FileNotFoundError, ValueError: as ``read_folder``.
    """
    folder = Path(folder)
    if os.path.lexists(folder / ADAPTER):
        return describe_folder(_base_of(folder))
    if not is_hf_folder(folder):
        raise no_model(folder)
    raw = read_json(folder / CONFIG)
    family = family_of(folder / CONFIG, raw)
    config = read_config(folder / CONFIG, raw, pixel_statistics(folder, family), "float32")
    processor, ids = read_processor(folder, family, config, raw)
    return Loaded(family, config, {}, processor, **ids)


def _places(mesh: Mesh | None, collection: str = ""):
    chosen = mesh or one_device()
    return lambda path, shape: NamedSharding(chosen, spec_of(collection + path, shape, chosen))


def _table(loaded: Loaded) -> Table:
    """Return the table of the files that a model came from or is written to."""
    raw = {} if loaded.origin is None else json.loads(loaded.origin.files[CONFIG])
    return table_of(loaded.family, text_kind_of(raw))


def content_files(folder: Path) -> dict[str, Path]:
    """Return where the files are that a folder is read from, by name; those of the model below an
    adapter are named ``base/…``.

    Raises:
      FileNotFoundError, ValueError: as ``read_folder``.
    """
    if (folder / ADAPTER).is_file():
        base = content_files(_base_of(folder))
        own = {name: folder / name for name in (ADAPTER, WEIGHTS, *own_files(folder))}
        return own | {f"base/{name}": path for name, path in base.items()}
    small = [name for name in read_small_files(folder) if Path(name).suffix in READ]
    return {name: folder / name for name in (*small, *open_folder(folder).names)}


def chat_line(folder: Path, loaded: Loaded) -> str:
    """Return a line that says how conversations with a folder's model are written, and why; "" for
    a model without a processor.
    """
    if isinstance(loaded.processor, NoProcessor):
        return ""
    return chosen_format(
        _base_of(folder) if (folder / ADAPTER).is_file() else folder, loaded.processor
    )


def _base_of(folder: Path) -> Path:
    """Return the folder of the model that an adapter is for."""
    where = folder / ADAPTER
    named = read_json(where).get("base_model_name_or_path")
    below = next((p for p in (folder / str(named), Path(str(named))) if p.is_dir()), None)
    if not named or below is None or (below / ADAPTER).is_file():
        raise ValueError(
            f"{where}: key 'base_model_name_or_path': expected the path of a folder without an "
            f"adapter of its own, found {named!r}; write the folder of the model below it there"
        )
    return below


def _read_adapted(folder: Path, dtype: str | None, mesh: Mesh | None) -> Loaded:
    below = _base_of(folder)
    base = read_folder(below, dtype=dtype, mesh=mesh)
    params = jax.eval_shape(lambda: base.variables["params"])
    base = _with_own_files(base, folder, below)
    return _adapt(base, read_adapter(folder, _table(base), params, place=_places(mesh)), mesh)


def _with_own_files(base: Loaded, folder: Path, below: Path) -> Loaded:
    """Return a model with the tokenizer, processor and chat template of its adapter's folder."""
    files = overlay(base.origin.files, own_files(folder))
    if files == base.origin.files:
        return base
    with as_folder(files, f"{folder} (over {below})") as whole:
        config, pixels = base.config, pixel_statistics(whole, base.family)
        if config.vision is not None:
            config = replace(config, vision=replace(config.vision, **pixels))
        raw = json.loads(files[CONFIG])
        processor, ids = read_processor(whole, base.family, config, raw)
    if isinstance(processor, NoProcessor):
        processor = NoProcessor(folder / processor.missing.name)
    origin = replace(base.origin, files=files)
    return replace(base, config=config, processor=processor, origin=origin, **ids)


def _adapt(base: Loaded, adapter: Adapter, mesh: Mesh | None) -> Loaded:
    """Return a model with an adapter of PEFT."""
    leaves = flatten_dict(base.variables["params"], sep="/")
    if adapter.untied:
        base = _untie(base)
        head = leaves[EMBED].T
        leaves[HEAD] = jax.device_put(head, _places(mesh)(HEAD, head.shape))
    for path, change in adapter.changes.items():
        leaves[path] = change.apply(leaves[path])
    carried = {
        name: adapter.carried.get(name, values).astype(values.dtype)
        for name, values in base.origin.carried.items()
    }
    variables = {"params": unflatten_dict(leaves, sep="/")}
    if adapter.lora is not None:
        variables["lora"] = adapter.lora
    origin = replace(base.origin, carried=carried)
    return replace(base, variables=variables, lora=adapter.options, origin=origin)


def _untie(loaded: Loaded) -> Loaded:
    """Return a model whose configurations have a head apart from the embedding."""
    raw = json.loads(loaded.origin.files[CONFIG])
    raw["tie_word_embeddings"] = False
    raw["text_config"] = {**(raw.get("text_config") or {}), "tie_word_embeddings": False}
    files = {**loaded.origin.files, CONFIG: json.dumps(raw, indent=2).encode()}
    config = replace(loaded.config, decoder=replace(loaded.config.decoder, tied=False))
    return replace(loaded, config=config, origin=replace(loaded.origin, files=files))


def write_folder(
    folder: Path, loaded: Loaded, *, dtype: str | None = None, max_shard_bytes: int = 5_000_000_000
) -> None:
    """Write a folder that transformers' ``from_pretrained`` loads, with adapters merged.

    If the model came from such a folder, its small files are written back unchanged. Everything is
    written to a temporary folder first, which is renamed at the end.

    Raises:
      ValueError: the folder exists and is not empty, the model's method is a system prompt, or no
        Hugging Face model has this model's shape.
    """
    folder = Path(folder)
    if loaded.system_prompt is not None:
        raise ValueError(
            f"{folder}: this model's method is its system prompt, its weights are its parent's; "
            "export the parent"
        )
    table, carried, prefixes = _table(loaded), {}, None
    if loaded.origin is not None:
        origin = loaded.origin if dtype is None else loaded.origin.cast(dtype)
        carried, prefixes, files = origin.carried, origin.prefixes, origin.files
    else:
        files = {}
        raw, carried = write_config(loaded, dtype)
    with new_folder(folder) as temporary:
        if is_first():
            for name, content in files.items():
                (temporary / name).parent.mkdir(exist_ok=True)
                (temporary / name).write_bytes(content)
            if loaded.origin is not None and isinstance(loaded.processor, Processor):
                keep_chat_format(temporary, loaded.processor, loaded.family)
            if loaded.origin is None:
                write_json(temporary / CONFIG, raw)
                tower = loaded.config.vision or loaded.config.audio
                write_hf_processor(temporary, loaded.processor, loaded.family, tower)
        write_tree(
            temporary,
            merge_lora(loaded.variables)["params"],
            carried,
            table,
            dtype=dtype,
            prefixes=prefixes,
            max_shard_bytes=max_shard_bytes,
        )


def write_adapter_folder(folder: Path, loaded: Loaded, base: str) -> None:
    """Write only the adapter of a model, in PEFT's format, for the exported model ``base``.

    Raises:
      ValueError: the model has no adapter, the folder exists and is not empty, or ``base`` is a
        folder of other weights than those that the adapter applies to.
    """
    if "lora" not in loaded.variables:
        raise ValueError(f"{folder}: the model has no adapter of its own; export all its weights")
    if is_hf_folder(Path(base)):
        _require_same(loaded, Path(base))
    dropout = (loaded.lora or {}).get("dropout", 0.0)
    with new_folder(folder) as temporary:
        lora = loaded.variables["lora"]
        write_adapter(temporary, lora, _table(loaded), base, dropout=dropout)


def _require_same(loaded: Loaded, base: Path) -> None:
    """Check that a folder holds the weights below the adapter of a model."""
    found = flatten_dict(read_folder(base).variables["params"], sep="/")
    for path, leaf in flatten_dict(loaded.variables["params"], sep="/").items():
        if path in found and leaf.shape == found[path].shape:
            there = found[path]
            if np.array_equal(fetch(leaf.astype(there.dtype)), fetch(there)):
                continue
        raise ValueError(
            f"{base}: parameter {path!r}: expected the weights that the adapter applies to, found "
            "others; export the run that the adapter was trained on, and name that folder, or "
            "export the model with its adapter merged"
        )
