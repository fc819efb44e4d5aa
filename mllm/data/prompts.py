"""Chat formats: how a question, an image and a system prompt become parts of a row.

A prompt is a prefix, the same for every question about one image, and a suffix that holds the
question. Parts are plain text or ``Special`` tokens; text is never searched for special tokens, so
``<image>`` typed by a user stays text. The cut between prefix and suffix falls where the tokenizer
starts afresh anyway (at the image or the beginning of the row), so a prompt tokenised in two parts
equals the same prompt tokenised whole.
"""

from collections.abc import Callable, Sequence

INSTRUCTIONS = {"plain": "", "blank": " Fill in the blank.", "sentence": " Answer in one sentence."}


class Special(str):
    """The text of a special token, e.g. ``</s>``."""


class ImageSlot:
    """Where an image goes in a row."""


IMAGE = ImageSlot()
Parts = Sequence[str | Special | ImageSlot]


def llava(question: str, image: bool, system: str | None, bos: str) -> tuple[Parts, Parts]:
    """``USER: <image>\\n{question}\\nASSISTANT:`` (LLaVA-1.5), a system prompt in front."""
    lead = f"{system} USER: " if system else "USER: "
    if image:
        return [Special(bos), lead, IMAGE], [f"\n{question}\nASSISTANT:"]
    return [Special(bos)], [f"{lead}{question}\nASSISTANT:"]


def chatml(question: str, image: bool, system: str | None, bos: str) -> tuple[Parts, Parts]:
    """ChatML as SmolLM2 uses it, with the system prompt of its published template by default."""
    system = system or "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
    start, end = Special("<|im_start|>"), Special("<|im_end|>")
    prefix = [start, f"system\n{system}", end, "\n", start, "user\n"]
    suffix = [end, "\n", start, "assistant\n"]
    return (
        ([*prefix, IMAGE], [f"\n{question}", *suffix]) if image else (prefix, [question, *suffix])
    )


CHAT_FORMATS: dict[str, Callable] = {"llava": llava, "chatml": chatml}
ANSWER_LEAD = {"llava": " ", "chatml": ""}
