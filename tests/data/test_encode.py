"""A conversation becomes the ids of its whole text, and says where media and answers stand."""

import io
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from PIL import Image
from tokenizers_of_tests import EXACT, KINDS, byte_level

from mllm.data.blocks import IMAGE, MARK
from mllm.data.cache import Cache
from mllm.data.chat import CHAT_FORMATS
from mllm.data.conversation import Media, Turn, assistant, image, raw, system, user
from mllm.data.encoded import require_fit
from mllm.data.processor import Processor, ProcessorConfig

RUN = 3


def picture(shade: int, size: tuple[int, int] = (8, 8)) -> Media:
    file = io.BytesIO()
    Image.new("RGB", size, (shade, 0, 0)).save(file, "PNG")
    return image(file.getvalue())


ONE, TWO = picture(1), picture(2)
TURNS = [
    system("Be brief."),
    user(ONE, "Where was Ada born?"),
    assistant("In Zürich."),
    user(TWO, ONE, "And she?"),
    assistant("London"),
]


def make(kind: str = "byte level", **options) -> Processor:
    return Processor(ProcessorConfig(**{"image_tokens": RUN, **options}), tokenizer_of(kind))


@lru_cache
def tokenizer_of(kind: str):
    """Trained once, because ties may be broken differently the next time."""
    return EXACT[kind]()


def by_the_tokenizer(processor: Processor, turns: list[Turn], generate: bool) -> list[int]:
    """Ids of the whole text, whose special tokens the tokenizer itself knows by their names."""
    pieces = CHAT_FORMATS[processor.config.chat_format](turns, generate)
    text = "".join(piece for piece, _ in pieces).replace(MARK, "")
    ids = processor.tokenizer.encode(text, add_special_tokens=False).ids
    run = [processor.image_id] * RUN
    return [j for i in ids for j in (run if i == processor.image_id else [i])]


@pytest.mark.parametrize("name", CHAT_FORMATS)
@pytest.mark.parametrize("kind", EXACT)
def test_a_conversation_has_the_ids_of_its_whole_text(kind, name):
    processor = make(kind, chat_format=name, bos=None)
    for turns in (TURNS[:2], TURNS[:4], [user("Who?")]):
        found = processor.encode(turns, generate=True)
        assert list(found.ids) == by_the_tokenizer(processor, turns, True)
        assert list(make(kind, chat_format=name).encode(turns, generate=True).ids) == [
            processor.token_id("<s>"),
            *found.ids,
        ]
    asked = processor.encode(TURNS[:4], generate=True).ids
    answer = tuple(processor.answer("London", ended=False))
    assert processor.encode(TURNS, ended=False).ids == asked + answer
    assert processor.encode(TURNS).ids == (*asked, *answer, processor.eos_id)


@pytest.mark.parametrize("name", CHAT_FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_assistants_say_is_supervised(kind, name):
    processor = make(kind, chat_format=name)
    found = processor.encode(TURNS)
    texts = [processor.decode(found.ids[a:b]) for a, b in found.supervised]
    assert texts == ["In Zürich.", "London"]
    assert found.supervised[-1][1] == len(found.ids)  # the end token too
    left = list(found.ids)
    for a, b in reversed(found.supervised):
        del left[a:b]
    assert "Zürich" not in processor.decode(left) and "London" not in processor.decode(left)


def test_pictures_of_an_answer_are_not_supervised():
    processor = make()
    turns = [user("Show her."), assistant(ONE, "Ada")]
    found = processor.encode(turns)
    (span,) = found.spans
    assert found.ids[-1] == processor.eos_id
    supervised = {i for a, b in found.supervised for i in range(a, b)}
    assert supervised.isdisjoint(range(span.start, span.start + span.length))
    ids = [found.ids[i] for i in sorted(supervised)]
    assert processor.decode(ids).split() == ["Ada"]


@pytest.mark.parametrize("split", [False, True])
def test_spans_are_the_runs_of_tiles_in_order(split):
    options = dict(image_block="idefics3", chat_format="idefics2", split=split)
    processor = make(**options, transform="idefics3", image_size=4, longest_edge=8)
    wide = picture(3, (8, 4))
    found = processor.encode([user(wide, "and"), assistant("Yes"), user(ONE, "?")], generate=True)
    tiles = [processor.prepare(media).tiles.shape[0] for media in (wide, ONE)]
    assert [span.media for span in found.spans] == [0] * tiles[0] + [1] * tiles[1]
    assert tiles == ([3, 5] if split else [1, 1])
    ids = np.array(found.ids)
    places = np.concatenate([np.arange(s.start, s.start + s.length) for s in found.spans])
    assert places.tolist() == np.flatnonzero(ids == processor.image_id).tolist()
    assert found.media_tokens == len(places) == RUN * sum(tiles)


def test_content_is_shared_as_far_as_text_and_pictures_are():
    processor = make()
    first = processor.encode([user(ONE, "Who?")], generate=True)
    other = processor.encode([user(TWO, "Who?")], generate=True)
    again = processor.encode([user(image(ONE.data), "When?")], generate=True)
    assert first.ids == other.ids and first.content != other.content
    end = first.spans[0].start + RUN
    assert first.content[: end + 1] == again.content[: end + 1]
    assert all(i < 0 for i in first.content[end - RUN : end])
    assert [i for i in first.content if i >= 0] == [i for i in first.ids if i != processor.image_id]


@pytest.mark.parametrize("kind", KINDS)
def test_a_raw_turn_is_read_letter_by_letter(kind):
    processor = make(kind)
    turn = raw("USER: ", ONE, "\nWho? ", TWO, " </s> ASSISTANT:")
    text = "USER: <image>\nWho? <image> </s> ASSISTANT:"
    run = [processor.image_id] * RUN
    ids = processor.tokenizer.encode(text, add_special_tokens=False).ids
    ids = [j for i in ids for j in (run if i == processor.image_id else [i])]
    found = processor.encode([turn], generate=True)
    assert list(found.ids) == [processor.token_id("<s>"), *ids]
    assert found.media == (ONE, TWO) and processor.eos_id in found.ids
    taught = processor.encode([turn, assistant(" London")], ended=False)
    assert taught.ids[: len(found.ids)] == found.ids
    assert taught.supervised == ((len(found.ids), len(taught.ids)),)
    assert processor.decode(taught.ids[len(found.ids) :]) == "London"


def test_in_a_literal_turn_the_name_of_the_image_token_is_that_token():
    processor = make()
    turn = Turn("raw", ("Who wrote <image>? </s>",), literal=True)
    expected = processor.tokenizer.encode(turn.text, add_special_tokens=False).ids
    found = processor.encode([turn], generate=True)
    assert list(found.ids) == [processor.token_id("<s>"), *expected]
    assert found.ids.count(processor.image_id) == 1 and found.spans == ()
    with pytest.raises(ValueError, match="<image> is written in the text of a raw turn"):
        processor.encode([replace(turn, parts=(ONE, *turn.parts))], generate=True)


def test_special_tokens_in_a_turn_stay_text():
    processor = make()
    found = processor.encode([user(ONE, f"a <image> {IMAGE} </s> <s>")], generate=True)
    assert found.ids.count(processor.image_id) == RUN and processor.eos_id not in found.ids


@pytest.mark.parametrize(
    ("turns", "options", "message"),
    [
        ([], {}, "row 3: has no turns"),
        ([user("Who?")], {}, "row 3: ends with a turn of 'user'; expected an assistant's"),
        ([raw("a <image> b")], {"generate": True}, "row 3: <image> is written in the text of a"),
        ([user("a"), raw("b")], {"generate": True}, r"row 3: has turns of \['user', 'raw'\]"),
        ([user(Media("audio", b""))], {"generate": True}, "row 3: .*'audio'.* text and image only"),
        ([raw("")], {"generate": True}, "row 3: is empty"),
    ],
)
def test_what_cannot_be_encoded_is_named(turns, options, message):
    with pytest.raises(ValueError, match=message):
        make(bos=None).encode(turns, **options, where="row 3")


def test_a_text_model_takes_no_pictures():
    processor = make(image=None)
    assert processor.encode([raw("a <image> b")], generate=True).spans == ()
    with pytest.raises(ValueError, match="'image', but the model takes text only"):
        processor.encode([user(ONE, "Who?")], generate=True)


def test_a_conversation_that_does_not_fit_is_described():
    found = make().encode([user(ONE, "Who?")], generate=True, where="row 3")
    count = len(found.ids)
    require_fit(found, count + 5, "row 3", reply=5)
    message = f"row 3: has {count} tokens, {RUN} of them of 1 media and needs 5 more for the reply"
    with pytest.raises(ValueError, match=f"{message}; there is room for {count + 4}: shorten"):
        require_fit(found, count + 4, "row 3", reply=5)


def test_pictures_are_prepared_once_while_they_are_kept(monkeypatch):
    processor, made = make(), []
    picture_of = Processor.picture

    def counted(self, data, where):
        made.append(data)
        return picture_of(self, data, where)

    monkeypatch.setattr(Processor, "picture", counted)
    first = processor.prepare(ONE)
    assert processor.prepare(image(ONE.data)) is first and made == [ONE.data]
    with pytest.raises(ValueError, match="image 7: cannot be decoded"):
        processor.prepare(image(b"nothing"), "image 7")


def test_a_cache_keeps_what_was_used_last_within_its_limit():
    cache, made = Cache(10), []

    def get(key: str):
        return cache.get(key, lambda: made.append(key) or key * 4, len)

    for key in "abacab":  # c takes the place of b
        assert get(key) == key * 4
    assert made == ["a", "b", "c", "b"] and cache.used == 8
    assert cache.get("large", lambda: "x" * 11, len) == "x" * 11 and cache.used == 8


def test_a_split_picture_is_laid_out_by_its_grid():
    options = dict(image_block="idefics3", transform="idefics3", image_size=4, longest_edge=8)
    processor = Processor(replace(make().config, **options, split=True), byte_level())
    found = processor.encode([user(ONE, "Who?")], generate=True)
    named = [processor.token_id(f"<row_{r}_col_{c}>") for r in (1, 2) for c in (1, 2)]
    assert [i for i in found.ids if i in named] == named
