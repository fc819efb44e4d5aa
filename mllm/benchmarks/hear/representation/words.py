"""The words that are nearest to the tokens of sounds, leaf by leaf."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from mllm.benchmarks.hear.prompts import CAPTION, about_sound
from mllm.benchmarks.hear.row import Clip
from mllm.data.processor import Processor
from mllm.evaluation.nearest import nearest_words
from mllm.evaluation.runner import LocalModel
from mllm.evaluation.states import encoded_prompts

NEAREST = 5  # words of a token among which the name may be
SHOWN = 5  # words of a leaf


def word_rows(model: LocalModel, clips: Sequence[Clip]) -> list[dict[str, Any]]:
    """Return a row for each leaf of clips with one tag.

    Returns:
      leaf; n, its sound tokens; words, [word, share of the tokens to which it is nearest] of the
      most frequent; named, the share of tokens with a token of the leaf's name among the
      ``NEAREST`` words; others, the mean share with one of another leaf's name.
    """
    processor = model.loaded.processor
    prompts = encoded_prompts(model, [about_sound(clip.sound.data, CAPTION) for clip in clips])
    near = nearest_words(model, prompts, "audio", NEAREST)
    ids: dict[str, list[np.ndarray]] = {}
    for clip, one in zip(clips, near, strict=True):
        ids.setdefault(clip.tags[0], []).append(one.ids)
    names = {leaf: _name_ids(processor, leaf) for leaf in ids}
    return [_row(processor, leaf, np.concatenate(found), names) for leaf, found in ids.items()]


def _row(
    processor: Processor, leaf: str, ids: np.ndarray, names: dict[str, np.ndarray]
) -> dict[str, Any]:
    nearest = Counter(ids[:, 0].tolist()).most_common(SHOWN)
    shares = {name: float(np.isin(ids, own).any(axis=1).mean()) for name, own in names.items()}
    mine = shares.pop(leaf)
    return {
        "leaf": leaf,
        "n": len(ids),
        "words": [[_word(processor, one), count / len(ids)] for one, count in nearest],
        "named": mine,
        "others": float(np.mean(list(shares.values()))) if shares else None,
    }


def _name_ids(processor: Processor, name: str) -> np.ndarray:
    """Return the ids of the tokens of a name, within a sentence and at its beginning."""
    texts = (name, f" {name}", name.capitalize())
    encoded = (processor.tokenizer.encode(text, add_special_tokens=False).ids for text in texts)
    return np.unique(np.concatenate([np.asarray(ids, int) for ids in encoded]))


def _word(processor: Processor, token: int) -> str:
    """Return a token as it is written; its name where that is white space or no whole character."""
    text = processor.tokenizer.decode([token]).strip()
    return text if text and "\ufffd" not in text else processor.tokenizer.id_to_token(token) or ""
