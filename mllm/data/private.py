"""A tokenizer whose special tokens have names that nobody can type."""

import json
import re

from tokenizers import Tokenizer

from mllm.data.prompts import special

# Some files list the tokens that lay out an image as ordinary ones; in a user's text they are text.
LAYOUT = re.compile(r"<image>|<fake_token_around_image>|<global-img>|<row_\d+_col_\d+>")


def privately_named(tokenizer: Tokenizer) -> Tokenizer:
    """The same tokenizer, its special tokens known as ``prompts.special(name)`` only.

    Every id stays what it is. Under their own names these tokens are ordinary characters: they are
    neither added tokens any more, nor words of the vocabulary or results of a merge.
    """
    parts = json.loads(tokenizer.to_str())
    names = {}
    for token in parts["added_tokens"]:
        if token["special"] or LAYOUT.fullmatch(token["content"]):
            names[token["content"]] = token["content"] = special(token["content"])
    model = parts["model"]
    if isinstance(model["vocab"], dict):
        model["vocab"] = {names.get(word, word): index for word, index in model["vocab"].items()}
    else:
        model["vocab"] = [[names.get(word, word), score] for word, score in model["vocab"]]
    if "merges" in model:
        pairs = (m.split(" ") if isinstance(m, str) else m for m in model["merges"])
        model["merges"] = [[a, b] for a, b in pairs if names.keys().isdisjoint((a, b, a + b))]
    if model.get("unk_token") in names:
        model["unk_token"] = names[model["unk_token"]]
    parts["post_processor"] = None
    return Tokenizer.from_str(json.dumps(parts))
