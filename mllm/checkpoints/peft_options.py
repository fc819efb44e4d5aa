"""What PEFT's ``adapter_config.json`` says of a LoRA adapter."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mllm.files import read_json

# Initialisations of an adapter that leave the model below unchanged; PEFT's others change it.
_PLAIN_STARTS = (True, False, None, "gaussian", "eva", "orthogonal")
# Options that change the computation in ways that are not read. ``fan_in_fan_out`` is none of them:
# PEFT takes no notice of it where the layers are linear ones, as here.
_FOREIGN = (
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "layer_replication",
    "monteclora_config",
    "target_parameters",
    "use_bdlora",
    "use_qalora",
    "velora_config",
)
_USED = ("use_dora", "use_rslora")


@dataclass(frozen=True)
class Options:
    """The options of an adapter; a module is named as in the model below it.

    Attributes:
      where: the file.
      values: its content.
    """

    where: Path
    values: Mapping[str, Any]

    @property
    def dora(self) -> bool:
        """Whether norms are learned apart from directions (Liu et al. 2024, arXiv:2402.09353)."""
        return bool(self.values.get("use_dora"))

    @property
    def dropout(self) -> float:
        return float(self.values["lora_dropout"])

    @property
    def keeps_tied(self) -> bool:
        """Whether what is learned for the embedding is learned for a tied head too."""
        return bool(self.values.get("ensure_weight_tying"))

    def rank_of(self, module: str) -> int:
        """Return the rank of a module."""
        return self._special("rank_pattern", module, self.values["r"])

    def scale_of(self, module: str) -> float:
        """Return what B A of a module is multiplied with: alpha / r, or alpha / sqrt(r) if the
        adapter is rank-stabilised (Kalajdzievski 2023, arXiv:2312.03732).
        """
        alpha = self._special("alpha_pattern", module, self.values["lora_alpha"])
        rank = self.rank_of(module)
        return alpha / (math.sqrt(rank) if self.values.get("use_rslora") else rank)

    def adapts(self, module: str) -> bool:
        """Return whether the options ask for an adapter of a module."""
        if _names(self.values.get("exclude_modules"), module):
            return False
        saved = self.values.get("modules_to_save") or ()
        if any(part in saved for part in module.split(".")):
            return False
        targets = self.values.get("target_modules")
        if not _names(targets, module):
            return False
        layers = self.values.get("layers_to_transform")
        if isinstance(targets, str) or layers in (None, []):
            return True
        number = re.search(r"\.(\d+)\.", module)
        chosen = layers if isinstance(layers, list) else [layers]
        return number is not None and int(number[1]) in chosen

    def tokens_of(self, module: str) -> list[int]:
        """Return the rows of an embedding or of a head that are learned by themselves."""
        rows = self.values.get("trainable_token_indices") or []
        if isinstance(rows, dict):
            rows = next((found for name, found in rows.items() if _names([name], module)), [])
        if not isinstance(rows, list) or not all(type(row) is int and row >= 0 for row in rows):
            raise self.error("trainable_token_indices", "token ids")
        return rows

    def error(self, key: str, expected: str) -> ValueError:
        """Return the error to raise about a key."""
        found = f"{self.values.get(key)!r:.80}"
        return ValueError(f"{self.where}: key {key!r}: expected {expected}, found {found}")

    def _special(self, key: str, module: str, default):
        """Return the value of the first pattern that matches the end of a module's name."""
        for pattern, value in (self.values.get(key) or {}).items():
            if re.match(rf"(.*\.)?({pattern})$", module):
                return value
        return default


def read_options(where: Path) -> Options:
    """Read ``adapter_config.json``.

    Raises:
      FileNotFoundError, ValueError: the file is missing or damaged, or the adapter is no LoRA, or
        one with options that are not read; the message names file, key, expected and found.
    """
    options = Options(where, read_json(where))
    values = options.values

    def expect(key: str, fits: bool, expected: str):
        if not fits:
            raise options.error(key, expected)

    expect("peft_type", values.get("peft_type") == "LORA", "'LORA'")
    unknown = [key for key in values if key.startswith("use_") and key not in _USED]
    for key in (*_FOREIGN, *unknown):
        expect(
            key,
            not values.get(key),
            "none of it, because it is not read; merge the adapter with PEFT's merge_and_unload "
            "and load the model that save_pretrained writes",
        )
    expect(
        "init_lora_weights",
        values.get("init_lora_weights") in _PLAIN_STARTS,
        "one that leaves the model below as it is; convert the adapter with PEFT first",
    )
    expect("bias", values.get("bias") in (None, "none", "all", "lora_only"), "none, all, lora_only")
    expect("r", _is_rank(values.get("r")), "a positive integer")
    for key in ("lora_alpha", "lora_dropout"):
        expect(key, type(values.get(key)) in (int, float), "a number")
    for key, fits in (("rank_pattern", _is_rank), ("alpha_pattern", _is_alpha)):
        found = values.get(key) or {}
        whole = isinstance(found, dict) and all(map(_is_pattern, found))
        expect(key, whole and all(map(fits, found.values())), "patterns of modules with numbers")
    return options


def _is_rank(value: object) -> bool:
    return type(value) is int and value > 0


def _is_alpha(value: object) -> bool:
    return type(value) in (int, float)


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True


def _names(chosen: object, module: str) -> bool:
    """Return whether a pattern, or a list of ends of names, names a module."""
    if isinstance(chosen, str):
        return _is_pattern(chosen) and re.fullmatch(chosen, module) is not None
    return any(module == end or module.endswith(f".{end}") for end in chosen or ())
