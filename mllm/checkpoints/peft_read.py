"""Read adapters in PEFT's files, and what else such files hold: biases and whole modules.

An update of a matrix becomes a part of the collection "lora", its ``b`` scaled. What that
collection cannot hold changes the parameters themselves: DoRA, updates of embeddings, heads and
convolutions, biases, rows of single tokens, and modules that were trained as a whole.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from mllm.checkpoints.hf import Place, Source, find_prefixes, find_sources
from mllm.checkpoints.peft import CONFIG, WEIGHTS, WRAPPER
from mllm.checkpoints.peft_change import Change
from mllm.checkpoints.peft_options import Options, read_options
from mllm.checkpoints.tables import LAYOUTS, Table
from mllm.checkpoints.tensor_files import TensorFiles

HEAD, EMBED = "decoder/head", "decoder/embed"
# Ends of stored names -> (what they hold, whether of the bias instead of the weight).
_ROLES = {
    "lora_A.weight": ("a", False),
    "lora_B.weight": ("b", False),
    "lora_embedding_A": ("a", False),
    "lora_embedding_B": ("b", False),
    "lora_magnitude_vector": ("magnitude", False),
    "lora_magnitude_vector.weight": ("magnitude", False),
    "token_adapter.trainable_tokens_delta": ("tokens", False),
    "lora_B.bias": ("added", True),
}
# What PEFT puts between the names of a module and of its tensor, where it saves the whole of it.
_WRAPPED = re.compile(r"\.(base_layer|modules_to_save)(?=\.)")


@dataclass(frozen=True)
class Adapter:
    """An adapter as it was read.

    Attributes:
      lora: the collection "lora" in float32, None if all is merged.
      options: {"rank", "targets", "dropout"} of the collection, where ``targets`` is the pattern of
        ``mllm.ops.lora.init_lora``; None without one.
      changes: changes of parameters by path; ``decoder/head`` is among them only if ``untied`` or
        if the model has a head.
      carried: new values of tensors that the model does not use, by published name.
      untied: whether head and embedding are no longer one matrix.
    """

    lora: dict | None
    options: dict | None
    changes: Mapping[str, Change]
    carried: Mapping[str, np.ndarray]
    untied: bool


def read_adapter(
    folder: Path, table: Table, params: dict, *, place: Place | None = None
) -> Adapter:
    """Read an adapter that PEFT wrote.

    Args:
      table: the table of the family.
      params: the parameters of the model as ShapeDtypeStructs.
      place: (path, shape) -> the sharding of a leaf, where paths begin with ``lora/``.

    Raises:
      FileNotFoundError, ValueError: a file is missing or damaged, the adapter has options that are
        not read, or a tensor is missing, unexpected or misshapen; the message names the file and
        the key.
    """
    folder = Path(folder)
    reading = _Reading(folder, read_options(folder / CONFIG), table, params)
    for name, held in reading.groups.items():
        reading.take(name, held)
    reading.require_complete()
    changes, plain = {}, {}
    for path, change in reading.changes.items():
        norms = any(magnitude is not None for *_, magnitude in change.updates.values())
        if path.endswith("/w") and change.updates and not norms and not reading.patches(path):
            plain[path.removesuffix("w")] = change.updates
            change.updates = {}
        if change.values or change.added or change.updates or change.tokens:
            changes[path] = change
    untied = reading.tied and reading.unties(changes)
    if reading.tied and not untied:
        changes.pop(HEAD, None)
    if not plain:
        return Adapter(None, None, changes, reading.carried, untied)
    rank = max(a.shape[1] for updates in plain.values() for a, *_ in updates.values())
    lora = {}
    for path, updates in plain.items():
        whole = reading.shapes[f"{path}w"]
        for number, leaf in enumerate("ab"):
            shape = (*whole[:-1], rank) if leaf == "a" else (*whole[:-2], rank, whole[-1])
            values = np.zeros(shape, np.float32)  # a lower rank than the highest leaves zeros
            for layer, update in updates.items():
                part = values if layer is None else values[layer]
                part[tuple(map(slice, update[number].shape))] = update[number]
            lora[f"{path}{leaf}"] = _put(f"lora/{path}{leaf}", values, place)
    targets = "|".join(re.escape(path.removesuffix("/")) for path in sorted(plain))
    options = {
        "rank": rank,
        "targets": f"^({targets})$",
        "dropout": reading.options.dropout,
    }
    lora = unflatten_dict(lora, sep="/")
    return Adapter(lora, options, changes, reading.carried, untied)


def _put(path: str, values: np.ndarray, place: Place | None) -> jax.Array:
    if place is None:
        return jax.numpy.asarray(values)
    sharding = place(path, values.shape)
    return jax.make_array_from_callback(values.shape, sharding, lambda index: values[index])


class _Reading:
    """The tensors of an adapter, sorted by the leaves that they change."""

    def __init__(self, folder: Path, options: Options, table: Table, params: dict):
        self.options, self.table = options, table
        self.files = _open(folder)
        self.shapes = {path: leaf.shape for path, leaf in flatten_dict(params, sep="/").items()}
        self.tied = HEAD not in self.shapes
        if self.tied:
            self.shapes[HEAD] = self.shapes[EMBED][::-1]
        self.groups: dict[str, dict[str, str]] = {}
        for stored in self.files:
            name, role = _role_of(stored)
            if name is not None:
                self.groups.setdefault(name, {})[role] = stored
        self.prefixes = find_prefixes(self.groups, table)
        self.sources = find_sources(table, self.prefixes, self.shapes)
        self.places: dict[str, list[tuple[str, int | None]]] = {}
        for path, source in self.sources.items():
            for layer, name in enumerate(source.names):
                place = path, layer if source.stacked else None
                self.places.setdefault(name, []).append(place)
        if not any(name in self.places for name in self.groups):
            raise ValueError(f"{self.files.where}: holds no adapter of a module of this family")
        self.changes: dict[str, Change] = {}
        self.carried: dict[str, np.ndarray] = {}

    def patches(self, path: str) -> bool:
        """Return whether a leaf is a convolution over patches."""
        return self.sources[path].layout is LAYOUTS["patch"]

    def unties(self, changes: Mapping[str, Change]) -> bool:
        """Return whether changes make head and embedding two matrices."""
        if HEAD in changes:
            return True
        change = changes.get(EMBED)
        return (
            change is not None
            and not self.options.keeps_tied
            and (bool(change.values) or bool(change.updates))
        )

    def take(self, name: str, held: dict[str, str]) -> None:
        """Read what is stored for one tensor of the model below."""
        if name not in self.places:
            self._pass_over(name, held)
            return
        source = self.sources[self.places[name][0][0]]
        if "value" in held:
            values = self._read(held["value"], source.shape)
            for change, layer, part in self._spread(name, values):
                change.values[layer] = part
        if "added" in held:
            module = name.removesuffix(".bias")
            values = self._read(held["added"], source.shape) * self.options.scale_of(module)
            for change, layer, part in self._spread(name, values):
                change.added[layer] = part
        if "tokens" in held:
            self._take_tokens(name, held["tokens"], source)
        if held.keys() & {"a", "b", "magnitude"}:
            self._take_update(name, held, source)

    def _spread(
        self, name: str, values: np.ndarray
    ) -> Iterator[tuple[Change, int | None, np.ndarray]]:
        """Yield, for each leaf in a stored tensor, (its change, layer, its part in our layout)."""
        for path, layer in self.places[name]:
            source = self.sources[path]
            shape = self.shapes[path][1 if source.stacked else 0 :]
            index = tuple(slice(0, size) for size in shape)
            rows = source.layout.stored_shape(shape)[0] if shape else 1
            part = values[source.start : source.start + rows]
            yield self._change(path), layer, source.layout.ours(part, index)

    def _take_tokens(self, name: str, stored: str, source: Source) -> None:
        rows = self.options.tokens_of(name.removesuffix(".weight"))
        if not rows or max(rows) >= source.shape[0]:
            raise self.options.error(
                "trainable_token_indices", f"ids below {source.shape[0]}, the rows of {name!r}"
            )
        values = self._read(stored, (len(rows), source.shape[1]))
        for path, _ in self.places[name]:
            change = self._change(path)
            change.tokens, change.rows_first = (rows, values), source.layout is LAYOUTS["same"]

    def _take_update(self, name: str, held: dict[str, str], source: Source) -> None:
        module = name.removesuffix(".weight")
        rank, scale = self.options.rank_of(module), self.options.scale_of(module)
        rows, *columns = source.shape
        some = next(iter(held[role] for role in ("a", "b", "magnitude") if role in held))
        kernel = (1, 1) if len(columns) == 3 else ()
        if ".lora_embedding_" in some:
            ends, shapes = (
                ("lora_embedding_A", "lora_embedding_B"),
                ((rank, rows), (*columns, rank)),
            )
        else:
            ends = "lora_A.weight", "lora_B.weight"
            shapes = (rank, *columns), (rows, rank, *kernel)
        a, b = (
            self._read(held.get(role), shape, f"{WRAPPER}{module}.{end}")
            for role, shape, end in zip("ab", shapes, ends, strict=True)
        )
        outputs, magnitude = shapes[1][0], None
        if self.options.dora:
            shape = (1, outputs, 1, 1) if kernel else (outputs,)
            missing = f"{WRAPPER}{module}.lora_magnitude_vector"
            magnitude = self._read(held.get("magnitude"), shape, missing).reshape(-1)
        elif "magnitude" in held:
            raise self._unexpected(held["magnitude"])
        b = b.reshape(outputs, rank).T * scale
        for path, layer in self.places[name]:
            part = self.sources[path]
            if ".lora_embedding_" in some:
                update = a.T, b, magnitude
            else:
                inputs, outputs = self.shapes[path][-2:]
                index = slice(0, inputs), slice(0, rank)
                mine = slice(part.start, part.start + outputs)
                norms = None if magnitude is None else magnitude[mine]
                update = part.layout.ours(a, index), b[:, mine], norms
            self._change(path).updates[layer] = update

    def _pass_over(self, name: str, held: dict[str, str]) -> None:
        """Skip what the model does not run, keep new values of it, and refuse all else."""
        for part, prefix in zip(self.table, self.prefixes, strict=True):
            if not name.startswith(prefix):
                continue
            inner = name.removeprefix(prefix)
            spare = part.spare_layers and any(leaf in self.shapes for leaf in part.find(inner))
            if spare or part.carries(inner):
                if "value" in held:
                    stored = held["value"]
                    self.carried[part.prefixes[0] + inner] = self.files.read(stored)
                return
        raise self._unexpected(next(iter(held.values())))

    def require_complete(self) -> None:
        """Check that layers without an adapter are those that the options leave out.

        Raises:
          ValueError: naming the tensor that is missing.
        """
        for path, change in self.changes.items():
            source = self.sources[path]
            if not change.updates or not source.stacked:
                continue
            for layer, name in enumerate(source.names):
                module = name.removesuffix(".weight")
                if layer not in change.updates and self.options.adapts(module):
                    shape = self.options.rank_of(module), *source.shape[1:]
                    self._read(None, shape, f"{WRAPPER}{module}.lora_A.weight")

    def _change(self, path: str) -> Change:
        return self.changes.setdefault(path, Change())

    def _read(self, stored: str | None, shape: tuple[int, ...], name: str = "") -> np.ndarray:
        """Read a tensor in float32 after checking its shape."""
        if stored is None:
            raise ValueError(
                f"{self.files.where}: tensor {name!r} is missing: expected shape {shape}, found "
                "none"
            )
        if self.files.shape(stored) != tuple(shape):
            raise ValueError(
                f"{self.files.where}: tensor {stored!r}: expected shape {tuple(shape)}, found "
                f"{self.files.shape(stored)}"
            )
        return self.files.read(stored).astype(np.float32)

    def _unexpected(self, stored: str) -> ValueError:
        return ValueError(
            f"{self.files.where}: tensor {stored!r} is unexpected: expected an adapter, as "
            f"{CONFIG} describes it, of a module of this model"
        )


def _open(folder: Path) -> TensorFiles:
    older = folder / "adapter_model.bin"
    if not (folder / WEIGHTS).is_file() and older.is_file():
        raise FileNotFoundError(
            f"{folder / WEIGHTS}: no such file, found {older.name}, whose reading can run code; "
            "load the adapter with PEFT and write it with save_pretrained(folder)"
        )
    return TensorFiles(folder / WEIGHTS, [folder / WEIGHTS])


def _role_of(stored: str) -> tuple[str | None, str]:
    """Return (name of the tensor of the model below, what is stored for it).

    The name is None for PEFT's copy of values that an adapter replaces.
    """
    name = stored.removeprefix(WRAPPER)
    if ".original_module." in name:
        return None, ""
    for end, (role, bias) in _ROLES.items():
        if name.endswith(f".{end}"):
            module = name.removesuffix(f".{end}")
            return f"{module}.{'bias' if bias else 'weight'}", role
    return _WRAPPED.sub("", name), "value"
