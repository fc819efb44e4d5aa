"""Replies made of what a model computes: scores of choices, and generated ids."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mllm.data.processor import Processor
from mllm.evaluation.request import Reply
from mllm.evaluation.tree import Asked, Prompt


def scored_reply(prompt: Prompt, asked: Asked, values: np.ndarray) -> Reply:
    """Return the reply, without its key, of scores float64[S] of its choices."""
    finite = bool(np.isfinite(values).all())
    return Reply(
        key="",
        logprobs=tuple(values.tolist()) if finite else None,
        tokens=tuple(map(len, asked.choices)),
        state="valid" if finite else "error",
        extra=_counts(prompt),
    )


def measured_reply(prompt: Prompt, asked: Asked, values: Sequence[np.ndarray]) -> Reply:
    """Return the reply, without its key, of what was measured of its choices by token.

    Args:
      values: float64[tokens, 4] of each choice, see ``losses.token_measures``.
    """
    reply = scored_reply(prompt, asked, np.array([choice[:, 0].sum() for choice in values]))
    if reply.logprobs is None:
        return reply
    by_token = [choice.tolist() for choice in values]
    return replace(reply, extra={**reply.extra, "by_token": by_token})


def text_reply(
    prompt: Prompt,
    asked: Asked,
    ids: list[int],
    ended: bool,
    finite: bool,
    processor: Processor,
) -> Reply:
    """Return the reply, without its key, of generated ids."""
    decode, stop = processor.tokenizer.decode, (*processor.config.stop, *asked.ask.stop)
    before = processor.until(ids, stop)
    text, stopped = cut_at(decode(before, skip_special_tokens=True), stop)
    stopped = stopped or len(before) < len(ids)
    extra = {**_counts(prompt), "reply_tokens": len(ids)}
    if asked.ask.echo is not None:
        whole = [*prompt.encoded.ids, *ids][asked.ask.echo :]
        extra["echo"] = decode(whole, skip_special_tokens=True)
    return Reply(
        key="",
        text=text,
        ended=ended or stopped,
        state="valid" if finite else "error",
        extra=extra,
    )


def cut_at(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """Return the text before the first of the stop texts, and whether there was one."""
    places = [text.find(mark) for mark in stop if mark in text]
    return (text[: min(places)], True) if places else (text, False)


def _counts(prompt: Prompt) -> dict[str, int]:
    """Return what a prompt costs."""
    encoded = prompt.encoded
    return {"prompt_tokens": len(encoded.ids), "media_tokens": encoded.media_tokens}
