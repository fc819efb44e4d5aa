"""Captions say what a picture shows, and descriptions are read by whole words."""

import pytest

from mllm.benchmarks.cobsat.captions import WORDINGS, caption, mentioned
from mllm.benchmarks.cobsat.tasks import Pair, pairs


def test_each_caption_is_one_sentence_of_its_own():
    all_of = {caption(pair, wording) for pair in pairs() for wording in range(len(WORDINGS))}
    assert len(all_of) == 500 * len(WORDINGS)
    assert all(one[0].isupper() and one.endswith(".") and one.count(".") == 1 for one in all_of)


@pytest.mark.parametrize(
    "pair, expected",
    [
        (("color", "orange", "apple"), "An orange apple."),
        (("background", "park", "zebra"), "A zebra in an amusement park."),
        (("style", "3d", "car"), "A car in wireframe style."),
        (("action", "angry", "cow"), "An angry cow."),
        (("action", "cry", "cat"), "A cat crying."),
        (("texture", "sequined", "hat"), "A sequined hat."),
        (("texture", "lace", "apple"), "An apple made of lace."),
    ],
)
def test_captions(pair, expected):
    assert caption(Pair(*pair)) == expected
    assert caption(Pair(*pair), 1) == f"A picture of {expected[0].lower()}{expected[1:]}"


def test_captions_mention_their_words_and_no_others():
    for pair in pairs():
        for wording in range(len(WORDINGS)):
            text = caption(pair, wording)
            assert mentioned(text, pair.theme) == [pair.detail], text
            assert mentioned(text, pair.kind) == [pair.object], text


def test_words_are_whole_and_none_is_chosen_among_several():
    assert mentioned("Two cars and a scar on a leather carpet", "object") == ["car"]
    assert mentioned("A LION flies over leaves", "action") == ["fly"]
    assert mentioned("red or blue?", "color") == ["red", "blue"]
    assert mentioned("boxes, leaves", "object") == ["leaf", "box"]
    assert mentioned("", "style") == []
    with pytest.raises(ValueError, match="0 to 3"):
        caption(pairs()[0], 4)
