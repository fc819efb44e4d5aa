"""A tokenizer whose special tokens have names that nobody can type."""

import json
import re
from collections.abc import Collection

from tokenizers import Tokenizer

from mllm.data.blocks import special

# Some files list the tokens that lay out a prompt as ordinary ones; in a user's text they are text.
LAYOUT = re.compile(
    r"<fake_token_around_image>|<global-img>|<row_\d+_col_\d+>|<end_of_utterance>|<\|im_\w+\|>"
)


def privately_named(tokenizer: Tokenizer, names: Collection[str] = ()) -> Tokenizer:
    """Return the same tokenizer, in which the special tokens and those of ``names`` are known as
    ``blocks.special(name)`` only.

    Every id stays what it is. Under their own names these tokens are ordinary characters: they are
    neither added tokens any more, nor words of the vocabulary or results of a merge.
    """
    parts, names = json.loads(tokenizer.to_str()), frozenset(names)
    renamed = {}
    for token in parts["added_tokens"]:
        name = token["content"]
        if token["special"] or name in names or LAYOUT.fullmatch(name):
            renamed[name] = token["content"] = special(name)
    model = parts["model"]
    if isinstance(model["vocab"], dict):
        model["vocab"] = {renamed.get(word, word): index for word, index in model["vocab"].items()}
    else:
        model["vocab"] = [[renamed.get(word, word), score] for word, score in model["vocab"]]
    if "merges" in model:
        pairs = (m.split(" ") if isinstance(m, str) else m for m in model["merges"])
        model["merges"] = [[a, b] for a, b in pairs if renamed.keys().isdisjoint((a, b, a + b))]
    if model.get("unk_token") in renamed:
        model["unk_token"] = renamed[model["unk_token"]]
    parts["post_processor"] = None
    return Tokenizer.from_str(json.dumps(parts))
