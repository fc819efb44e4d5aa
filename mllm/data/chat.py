"""Chat formats: functions from the turns of a conversation to the text that a model reads.

A format returns the text in pieces, in order; a piece is marked True where it is what an assistant
turn says. Special tokens and media are written as in ``mllm.data.blocks``. Joined and without marks
the pieces are the text of the published template (``mllm.data.templates``); each part of a turn is
one entry of the template's ``content``.
"""

from collections.abc import Callable, Sequence

from mllm.data.blocks import special, written
from mllm.data.conversation import Media, Turn

Pieces = list[tuple[str, bool]]

END = special("<end_of_utterance>")


def llava(turns: Sequence[Turn], generate: bool) -> Pieces:
    """Write ``USER: <image>\\n{question}\\nASSISTANT:``, the prompt of the model card of LLaVA-1.5.

    A system turn ends with a space, every other turn with a new line.
    """
    return _upper_case(turns, generate, "\n")


def vicuna(turns: Sequence[Turn], generate: bool) -> Pieces:
    """Write ``USER: <image>\\n{question} ASSISTANT:``, the template of llava-hf/llava-1.5-7b-hf."""
    return _upper_case(turns, generate, " ")


def _upper_case(turns: Sequence[Turn], generate: bool, end: str) -> Pieces:
    pieces = []
    for turn in turns:
        lead = "" if turn.role == "system" else f"{turn.role.upper()}:"
        space = " " if lead else ""
        closing = " " if turn.role == "system" else end
        media, texts = _sorted_parts(turn)
        said = media + closing.join(texts)
        if turn.role != "assistant":
            pieces.append((lead + space + said + closing * bool(texts), False))
        else:
            pieces += [(lead, False), (space + said, True), (closing * bool(texts), False)]
    return pieces + [("ASSISTANT:", False)] * generate


def mistral(turns: Sequence[Turn], generate: bool) -> Pieces:
    """Write ``[INST] <image>\\n{question} [/INST]``, the template of
    llava-hf/llava-v1.6-mistral-7b-hf.

    Raises:
      ValueError: a system or assistant turn shows media, for which the template has no place.
    """
    pieces = []
    for turn in turns:
        media, texts = _sorted_parts(turn)
        said = "".join(texts)
        if media and turn.role != "user":
            raise ValueError(
                f"chat format 'mistral' shows media in user turns only, not {turn.role}"
            )
        if turn.role == "system":
            pieces.append((f"<<SYS>>\n{said}\n<</SYS>>\n\n", False))
        elif turn.role == "user":
            pieces.append((f"[INST] {media}{said} [/INST]", False))
        else:  # what the published template writes after an answer, letter by letter
            pieces += [(f" {said}", True), ("<\\s> ", False)]
    return pieces


def idefics2(turns: Sequence[Turn], generate: bool) -> Pieces:
    """Write ``User:<image>{question}<end_of_utterance>\\nAssistant:``, the template of
    HuggingFaceM4/idefics2-8b and Idefics3-8B-Llama3.
    """
    pieces = []
    for turn in turns:
        lead, tail = f"{turn.role.capitalize()}:", f"{END}\n"
        media_first = bool(turn.parts) and isinstance(turn.parts[0], Media)
        said = ("" if media_first else " ") + _in_order(turn)
        if turn.role != "assistant":
            pieces.append((lead + said + tail, False))
        else:
            pieces += [(lead, False), (said, True), (tail, False)]
    return pieces + [("Assistant:", False)] * generate


def smolvlm(turns: Sequence[Turn], generate: bool) -> Pieces:
    """Write ``<|im_start|>`` and then what Idefics2 reads, the template of
    HuggingFaceTB/SmolVLM-Instruct.
    """
    return [(special("<|im_start|>"), False), *idefics2(turns, generate)]


def chatml(turns: Sequence[Turn], generate: bool) -> Pieces:
    """Write ChatML as SmolLM2 does, with the system turn of its template where there is none."""
    start, end = special("<|im_start|>"), special("<|im_end|>") + "\n"
    pieces = []
    if not turns or turns[0].role != "system":
        told = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
        pieces.append((f"{start}system\n{told}{end}", False))
    for turn in turns:
        media, texts = _sorted_parts(turn)
        lead, said = f"{start}{turn.role}\n", media + "".join(texts)
        pieces += [(lead, False), (said, turn.role == "assistant"), (end, False)]
    return pieces + [(f"{start}assistant\n", False)] * generate


def qwen2_audio(turns: Sequence[Turn], generate: bool) -> Pieces:
    """Write ChatML with each sound on a line of its own, numbered: ``Audio 1: <|AUDIO|>``, the
    template of Qwen/Qwen2-Audio-7B-Instruct. A conversation without a system turn has its.
    """
    start, end = special("<|im_start|>"), special("<|im_end|>") + "\n"
    pieces, heard = [], 0
    if not turns or turns[0].role != "system":
        pieces.append((f"{start}system\nYou are a helpful assistant.{end}", False))
    for turn in turns:
        said = ""
        for part in turn.parts:
            sound = isinstance(part, Media) and part.kind == "audio"
            heard += sound
            lead, after = (f"Audio {heard}: ", "\n") if sound else ("", "")
            said += lead + (written(part) if isinstance(part, Media) else part) + after
        pieces.append((f"{start}{turn.role}\n", False))
        pieces += [(said, turn.role == "assistant"), (end, False)]
    return pieces + [(f"{start}assistant\n", False)] * generate


def inline(turns: Sequence[Turn], generate: bool) -> Pieces:
    """Write every part of a turn on a line of its own, in order, so that text stays next to the
    media that it is about: ``USER: Image 1:\\n<image>\\n{question}\\nASSISTANT:``.

    It is the format of no published model; models that are taught here read it.
    """
    pieces = []
    for turn in turns:
        said = "\n".join(written(p) if isinstance(p, Media) else p for p in turn.parts)
        pieces += [(f"{turn.role.upper()}:", False), (f" {said}", turn.role == "assistant")]
        pieces.append(("\n", False))
    return pieces + [("ASSISTANT:", False)] * generate


def seed_llama(turns: Sequence[Turn], generate: bool) -> Pieces:
    """Write ``[INST] a: <img>…</img>b: <img>…</img>c: [/INST]\\n``, what SEED-LLaMA-14B reads: the
    parts of a turn in order, pictures as codes. A system turn stands within the user's, as Llama 2
    has it.
    """
    pieces, before = [], ""
    for turn in turns:
        said = _in_order(turn)
        if turn.role == "system":
            before += f"<<SYS>>\n{said}\n<</SYS>>\n\n"
        elif turn.role == "user":
            pieces.append((f"[INST] {before}{said} [/INST]\n", False))
            before = ""
        else:
            pieces += [(said, True), ("\n", False)]
    return pieces


def _in_order(turn: Turn) -> str:
    return "".join(written(part) if isinstance(part, Media) else part for part in turn.parts)


def _sorted_parts(turn: Turn) -> tuple[str, list[str]]:
    """Return the media of a turn, one per line, and its texts: these formats show media first."""
    media = "".join(f"{written(part)}\n" for part in turn.media)
    return media, [part for part in turn.parts if isinstance(part, str)]


CHAT_FORMATS: dict[str, Callable[[Sequence[Turn], bool], Pieces]] = {
    "llava": llava,
    "vicuna": vicuna,
    "mistral": mistral,
    "idefics2": idefics2,
    "smolvlm": smolvlm,
    "chatml": chatml,
    "qwen2_audio": qwen2_audio,
    "inline": inline,
    "seed_llama": seed_llama,
}
