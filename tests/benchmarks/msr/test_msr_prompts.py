"""Prompts are the published ones to the byte, typed here once more from the source's scripts."""

from dataclasses import replace

import pytest

from mllm.benchmarks.msr.prompts import Prompts
from mllm.benchmarks.msr.rows import Item
from mllm.benchmarks.msr.wording import BRIEF, WORDINGS, wording_of
from mllm.data.conversation import Media, image

ITEM = Item("17", "Red cat", "A cat.", picture=b"17")
ITEMS = [replace(ITEM, id=str(n), title=f"T{n}", picture=str(n).encode()) for n in range(1, 4)]
COMPAT = Prompts(compat=True, layout="published")
TAIL = (
    "please summarize the user's preferences in one continuous paragraph. Only provide information "
    "about the user's preferences; do not repeat details about the previously watched videos. Do "
    "not repeat the question in your answer, and keep clear and concise.The answer should start "
    "with 'The user appears to have a preference for'."
)
HEADER = "Below is a chronological list of videos previously watched by User 5:\n"
LINES = (
    "1. 1: Title - 'T1', Video cover description - red.\n"
    "2. 2: Title - 'T2', Video cover description - blue.\n"
)


def text(turns) -> str:
    """The parts of the only turn, a picture as the mark of the source."""
    (turn,) = turns
    return "".join("<image>" if isinstance(part, Media) else part for part in turn.parts)


def letters(said: str) -> list[str]:
    """All that is said, in no order."""
    for mark in ("[INST]", "[/INST]", "<image>"):
        said = said.replace(mark, "")
    return sorted("".join(said.split()))


def test_the_prompt_about_a_picture_is_the_published_one():
    (turn,) = COMPAT.about_picture(ITEM)
    assert turn.role == "raw" and turn.media == (image(b"17"),)
    assert text((turn,)) == (
        "[INST] <image>\nPlease describe this image, which is a cover of a video. Provide a "
        "detailed description in one continuous paragraph, including content information and "
        "visual features such as colors, objects, text, and any notable elements present in the "
        "image.[/INST]"
    )


def test_the_recommenders_prompt_is_the_published_one():
    turns = COMPAT.about_candidate("Cats.", ITEM)
    assert text(turns) == (
        "[INST]<image>\nBased on the previous interaction history, the user's preference can be "
        "summarized as: Cats.Please predict whether this user would interact with the video at the "
        "next opportunity. The video's title is'Red cat', and the given image is this video's "
        "cover? Please only response 'yes' or 'no' based on your judgement, do not include any "
        "other content including words, space, and punctuations in your response. [/INST]"
    )


def test_the_prompt_about_a_first_block_is_the_published_one():
    first = COMPAT.about_block("5", ITEMS[:2], ["red", "blue"])
    said = "Based on the content and visual style of videos listed above, "
    assert text(first) == f"[INST] {HEADER}{LINES}{said}{TAIL}"  # with the stray mark
    assert first[0].role == "user"  # around which the chat format writes its own
    assert text(Prompts().about_block("5", ITEMS[:2], ["red", "blue"])) == text(first)[7:]


def test_the_prompt_about_a_later_block_holds_the_answer_before_verbatim():
    before = "The user appears to have a preference for {cats}.\nAnd 'dogs'."
    later = Prompts().about_block("5", ITEMS[:2], ["red", "blue"], before)
    assert text(later) == (
        f"{HEADER}{LINES}We also know this user's previous preference.\n {before}\nBased on the "
        "content and visual style of videos listed above as well as the known aspects of user's "
        f"preference, {TAIL}"
    )


def test_the_prompt_about_all_items_at_once():
    single = text(Prompts().about_block("5", ITEMS[:2], ["red", "blue"], single=True))
    assert single.startswith(f"{HEADER}{LINES}Based on the content and visual style of videos ")
    assert (
        "please summarize the user's preferences in terms of both content and visual style in one "
        "line. Only provide information" in single
    )
    assert single.endswith("with 'The user appears to have a preference for'.")


@pytest.mark.parametrize("compat", [False, True])
def test_with_the_picture_last_candidates_share_all_that_is_said_of_the_user(compat):
    prompts = Prompts(compat=compat)
    first, other = (prompts.about_candidate("Cats.", item)[0] for item in ITEMS[:2])
    assert first.parts[0] == other.parts[0] and isinstance(first.parts[1], Media)
    assert "T1" in first.parts[2] and "T1" not in first.parts[0]
    published = replace(prompts, layout="published").about_candidate("Cats.", ITEMS[0])
    assert letters(text(published)) == letters(text((first,)))


def test_what_is_shown_can_be_chosen():
    blind = Prompts(candidate=("title",)).about_candidate("Cats.", ITEM)
    assert not blind[0].media and "Red cat" in text(blind)
    untitled = Prompts(candidate=("picture",)).about_candidate("Cats.", ITEM)
    assert untitled[0].media and "Red cat" not in text(untitled)
    told = Prompts(wording=BRIEF, candidate=("picture", "title", "summary"))
    assert text(told.about_candidate("Cats.", ITEM, "a cat")) == "Cats.\n<image>Red cat: a cat"
    bare = Prompts(history=("title",)).about_block("5", ITEMS[:1], ["red"])
    assert "1. 1: Title - 'T1'.\n" in text(bare) and "red" not in text(bare)
    seen = Prompts(history=("summary",)).about_block("5", ITEMS[:1], ["red"])
    assert "1. 1: Video cover description - red.\n" in text(seen) and "T1" not in text(seen)


def test_titles_alone_name_the_history_and_the_candidate():
    said = text(Prompts(wording=BRIEF).about_titles("5", ITEMS[:2], ITEMS[2]))
    assert said == "User 5:\n1. T1.\n2. T2.\nT3"


def test_products_are_called_products():
    prompts = Prompts(wording=wording_of("products"))
    for turns in (
        prompts.about_picture(ITEM),
        prompts.about_text(ITEM),
        prompts.about_block("5", ITEMS, ["red"] * 3, "Likes red."),
        prompts.about_candidate("Cats.", ITEM),
    ):
        assert "video" not in text(turns) and "product" in text(turns)


def test_what_cannot_be_written_is_an_error_that_names_the_key():
    with pytest.raises(ValueError, match=r"config\.prompts\.layout.*picture_last"):
        Prompts(layout="picture_first")
    with pytest.raises(ValueError, match=r"config\.prompts\.candidate is \(\), expected some of"):
        Prompts(candidate=())
    with pytest.raises(ValueError, match=r"config\.prompts\.history is \('picture',\)"):
        Prompts(history=("picture",))
    with pytest.raises(ValueError, match=r"item '17' has no picture; set config"):
        Prompts().about_picture(replace(ITEM, picture=None))
    with pytest.raises(ValueError, match="published"):
        wording_of("publish")
    assert set(WORDINGS) == {"published", "products", "brief"}
