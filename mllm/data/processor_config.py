"""What a processor is besides its tokenizer: numbers and names, as processor.json holds them."""

from dataclasses import asdict, dataclass

from mllm.data.audio import AudioConfig
from mllm.data.blocks import IMAGE_BLOCKS
from mllm.data.chat import CHAT_FORMATS
from mllm.data.chat_template import ChatTemplate
from mllm.data.codes import CodesConfig
from mllm.data.images import ImageConfig
from mllm.registry import lookup

TEMPLATE = "template"  # the chat format of a config that holds a chat template
# Fields that processor.json did not always have. It and the digest leave them out where they are
# empty, so that checkpoints and replies of earlier versions stay what they are.
LATER = (
    "ends",
    "barred",
    "stop",
    "chat_template",
    "known_ids",
    "codes",
    "grids",
    "cells",
    "instructed",
    "audio",
)


@dataclass(frozen=True)
class ProcessorConfig(ImageConfig):
    """How images are cut, names of the special tokens, and how conversations are written.

    Attributes:
      chat_format: a name of ``mllm.data.chat``, or "template" for ``chat_template``.
      image_block: a name of ``mllm.data.blocks``.
      bos: begins every row; None where no token does.
      eos: ends what an assistant says, and is learned as its end.
      pad: fills rows.
      image: stands for a picture; None in a text-only model.
      image_tokens: of a picture, or of a tile of a split one (anyres: with those that end rows).
      ends: other tokens at which a reply ends. barred: tokens that no reply holds.
      stop: texts at which a reply ends.
      chat_template: writes conversations; None if ``chat_format`` names a function.
      known_ids: the tokenizer's ids from here on have no row in the model's embedding; 0 if all
        have one.
      codes: how codes of pictures are written; None in a model that reads and writes none.
      instructed: whether the model reads each picture under the text of the turn that shows it.
      audio: how sounds are heard; None in a model that hears none.

    Raises:
      ValueError: a name is unknown, or a chat template is missing.
    """

    chat_format: str = "llava"
    image_block: str = "plain"
    bos: str | None = "<s>"
    eos: str = "</s>"
    pad: str = "<pad>"
    image: str | None = "<image>"
    image_tokens: int = 16
    ends: tuple[str, ...] = ()
    barred: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    chat_template: ChatTemplate | None = None
    known_ids: int = 0
    codes: CodesConfig | None = None
    instructed: bool = False
    audio: AudioConfig | None = None

    def __post_init__(self):
        super().__post_init__()
        if isinstance(self.chat_template, dict):  # as JSON holds it
            object.__setattr__(self, "chat_template", ChatTemplate(**self.chat_template))
        if self.codes is not None and not isinstance(self.codes, CodesConfig):
            object.__setattr__(self, "codes", CodesConfig(**self.codes))
        if self.audio is not None and not isinstance(self.audio, AudioConfig):
            object.__setattr__(self, "audio", AudioConfig(**self.audio))
        for name in ("ends", "barred", "stop"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.chat_template is None:
            lookup(CHAT_FORMATS, self.chat_format, "chat format")
        elif self.chat_format != TEMPLATE:
            raise ValueError(
                f"chat_format is {self.chat_format!r} with a chat_template, expected {TEMPLATE!r}"
            )
        lookup(IMAGE_BLOCKS, self.image_block, "image block")
        taken = self.cells**2 + self.cells
        if self.transform == "anyres" and self.image_tokens != taken:
            raise ValueError(
                f"image_tokens is {self.image_tokens}, expected {taken}: a tile has {self.cells} "
                "tokens along a side, and each row of them may end with one token more"
            )

    def described(self) -> dict:
        """Return the fields as JSON values."""
        return {k: v for k, v in asdict(self).items() if v or k not in LATER}
