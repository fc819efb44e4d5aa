"""What a person may say about an import."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from mllm.registry import lookup

# What may be wrong with a clip; each is an error unless it is to be left out.
FLAWS = {
    "missing_sound": "its file is not there",
    "unreadable_sound": "its file cannot be decoded",
    "no_tag": "nothing is tagged",
    "unknown_tag": "a tag is not in the ontology",
    "repeated_id": "its id was there before",
    "shared_group": "what it was cut from is in another split",
}


@dataclass(frozen=True)
class Options:
    """How files are imported.

    Attributes:
      sounds: the folder of the sound files, from the folder that is imported; "" for the usual one.
      leave_out: names of ``FLAWS`` whose clips are left out and counted; others are errors.
      validation, test: shares of the groups that are kept apart where the source has no splits.
      rare: concepts that count as rare.
      licence: of the sounds; "" for what their publisher states.

    Raises:
      ValueError: an unknown flaw, or a share that is none.
    """

    sounds: str = ""
    leave_out: tuple[str, ...] = ()
    validation: float = 0.1
    test: float = 0.1
    rare: tuple[str, ...] = ()
    licence: str = ""

    def __post_init__(self):
        for name in ("leave_out", "rare"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for flaw in self.leave_out:
            lookup(FLAWS, flaw, "flaw (leave_out)")
        shares = self.validation, self.test
        if min(shares) < 0 or sum(shares) >= 1:
            raise ValueError(
                f"validation, test: found {shares}, expected shares of at least 0 that leave some "
                "clips to train on"
            )

    def record(self) -> dict[str, Any]:
        """Return the options as JSON values."""
        return dataclasses.asdict(self) | {
            "leave_out": list(self.leave_out),
            "rare": list(self.rare),
        }
