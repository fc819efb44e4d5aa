"""Chat formats: how a question, its images and a system prompt become the text of a row; and how an
image stands in that text.

A special token is written with ``MARK`` in front of its name. Nobody can type the mark, so
``<image>`` in a user's question stays text. A prompt is a prefix, the same for every question
about the same images, and a suffix that holds the question. The prefix is empty or ends with a
special token: there a tokenizer starts afresh, so the cut changes no token.
"""

from collections.abc import Callable

from mllm.data.blocks import IMAGE, special

INSTRUCTIONS = {"plain": "", "blank": " Fill in the blank.", "sentence": " Answer in one sentence."}
END = special("<end_of_utterance>")

Prompt = tuple[str, str]


def _turn(lead: str, question: str, end: str, images: int) -> Prompt:
    if images:
        return lead + "\n".join([IMAGE] * images), f"\n{question}{end}"
    return "", lead + question + end


def llava(question: str, images: int = 0, system: str | None = None) -> Prompt:
    """``USER: <image>\\n{question}\\nASSISTANT:`` (the prompt of LLaVA-1.5's model card), a
    system prompt in front.
    """
    lead = f"{system} USER: " if system else "USER: "
    return _turn(lead, question, "\nASSISTANT:", images)


def vicuna(question: str, images: int = 0, system: str | None = None) -> Prompt:
    """``USER: <image>\\n{question} ASSISTANT:``, the template of llava-hf/llava-1.5-7b-hf."""
    lead = f"{system} USER: " if system else "USER: "
    return _turn(lead, question, " ASSISTANT:", images)


def mistral(question: str, images: int = 0, system: str | None = None) -> Prompt:
    """``[INST] <image>\\n{question} [/INST]``, that of llava-hf/llava-v1.6-mistral-7b-hf."""
    lead = f"<<SYS>>\n{system}\n<</SYS>>\n\n" if system else ""
    return _turn(f"{lead}[INST] ", question, " [/INST]", images)


def idefics2(question: str, images: int = 0, system: str | None = None) -> Prompt:
    """``User:<image>{question}<end_of_utterance>\\nAssistant:``, the template of
    HuggingFaceM4/idefics2-8b and Idefics3-8B-Llama3.
    """
    prefix, lead = (f"System: {system}{END}", "\nUser:") if system else ("", "User:")
    suffix = f"{question}{END}\nAssistant:"
    if images:
        return prefix + lead + IMAGE * images, suffix
    return prefix, f"{lead} {suffix}"


def smolvlm(question: str, images: int = 0, system: str | None = None) -> Prompt:
    """That of Idefics2 behind ``<|im_start|>``, the template of HuggingFaceTB/SmolVLM-Instruct."""
    prefix, suffix = idefics2(question, images, system)
    return special("<|im_start|>") + prefix, suffix


def chatml(question: str, images: int = 0, system: str | None = None) -> Prompt:
    """ChatML as SmolLM2 uses it, with the system prompt of its published template by default."""
    system = system or "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
    start, end = special("<|im_start|>"), special("<|im_end|>")
    prefix, user = f"{start}system\n{system}{end}\n{start}", "user\n"
    suffix = f"{question}{end}\n{start}assistant\n"
    if images:
        return prefix + user + "\n".join([IMAGE] * images), f"\n{suffix}"
    return prefix, user + suffix


CHAT_FORMATS: dict[str, Callable[..., Prompt]] = {
    "llava": llava,
    "vicuna": vicuna,
    "mistral": mistral,
    "idefics2": idefics2,
    "smolvlm": smolvlm,
    "chatml": chatml,
}
ANSWER_LEAD = dict.fromkeys(CHAT_FORMATS, " ") | {"chatml": ""}
