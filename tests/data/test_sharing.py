"""What examples share is found by their content, and media stand in rows where their tokens are."""

import numpy as np
import pytest
from PIL import Image
from toy import make_processor, pipeline_of, png

from mllm.data.conversation import Example, assistant, raw, user
from mllm.data.packing import RowShape
from mllm.data.pictures import Pictures
from mllm.data.processor import Processor, ProcessorConfig
from mllm.data.tokenized import tokenize

SHADES = [png(Image.new("RGB", (16, 16), (40 * shade, 0, 0))) for shade in range(6)]
RUN = 4
BOS = 1


@pytest.fixture(scope="module")
def processor():
    return make_processor()


def example(*parts, index: int = 0, role: str = "", answer: str = "Ada") -> Example:
    return Example(f"e{index}", "", (user(*parts), assistant(answer)), role)


def shared(processor, *examples) -> list[list[int]]:
    """The content of each example's prefix: ids, and numbers of ``SHADES`` below zero."""
    found = tokenize(examples, processor, limit=500)
    names = {
        n: -i
        for i, s in enumerate(SHADES)
        for n in tokenize([example(s)], processor, limit=99)[0].media.tolist()
    }
    return [[names.get(i, i) for i in e.content()[: e.prefix].tolist()] for e in found]


def pictures_in(prefix: list[int]) -> list[int]:
    return [-i for i in prefix if i <= 0][::RUN]


def test_questions_about_one_picture_share_up_to_it(processor):
    one, two, alone = shared(
        processor,
        example(SHADES[1], "Who?"),
        example(SHADES[1], "When?"),
        example(SHADES[2], "Who?"),
    )
    assert one == two and pictures_in(one) == [1] and one[-1] == -1
    assert pictures_in(alone) == [2]  # nothing is shared: up to its own picture


def test_the_deepest_shared_picture_counts(processor):
    first, second, third, last = shared(
        processor,
        example(SHADES[1], SHADES[2], SHADES[3], "Who?"),
        example(SHADES[1], SHADES[2], SHADES[4], "Who?"),
        example(SHADES[1], SHADES[2], SHADES[4], "When?"),
        example(SHADES[2], SHADES[1], "Who?"),
    )
    assert pictures_in(first) == [1, 2]
    assert pictures_in(second) == pictures_in(third) == [1, 2, 4]
    assert pictures_in(last) == [2, 1]


def test_roles_do_not_share_and_text_shares_its_first_token(processor):
    one, two, text = shared(
        processor,
        example(SHADES[1], SHADES[2], "Who?", role="a"),
        example(SHADES[1], SHADES[3], "Who?", role="b"),
        example("Who?", role="a"),
    )
    assert pictures_in(one) == [1, 2] and pictures_in(two) == [1, 3]
    assert text == [BOS]


def test_what_is_taught_is_never_shared(processor):
    turns = user(SHADES[1], "Who?"), assistant("Ada"), user(SHADES[2], "And?"), assistant("Bob")
    one, two = tokenize([Example("a", "", turns), Example("b", "", turns)], processor, limit=99)
    assert one.prefix == two.prefix <= one.supervised[0, 0] and len(one.supervised) == 2
    assert one.prefix == one.spans[0, 0] + RUN


def test_an_example_that_does_not_fit_is_named(processor):
    message = r"example e7: has \d+ tokens, 4 of them of 1 media; there is room for 20"
    with pytest.raises(ValueError, match=message):
        tokenize([example(SHADES[1], "Who is it? " * 9, index=7)], processor, limit=20)


def several(count: int = 24) -> list[Example]:
    """Examples of no to three pictures, some of them before and some after what is shared."""
    rng = np.random.default_rng(0)
    return [
        example(
            *(SHADES[i] for i in sorted(rng.integers(1, 6, rng.integers(0, 4)).tolist())),
            f"Who is {index}?",
            index=index,
        )
        for index in range(count)
    ]


@pytest.mark.parametrize("loss_on", ["answer", "text"])
def test_every_medium_stands_where_its_tokens_are(processor, loss_on):
    source, answers = several(), 1 if loss_on == "text" else 4
    shape = RowShape(tokens=160, supervised=160, answers=answers, loss_on=loss_on)
    pipeline = pipeline_of(source, processor, 3, shape)
    seen, shared_rows = set(), 0
    for step in range(pipeline.steps(1)):
        batch = pipeline.batch_at(step)
        image = batch["media"]["image"]
        # One program for most batches: the room is that of the longest example, or twice it.
        assert image["values"].shape[1] % 3 == 0 and image["values"].shape[2:] == (16, 16, 3)
        for r in range(3):
            there = image["slots"][r] >= 0
            slots = image["slots"][r][there]
            places = (slots[:, None] + np.arange(RUN)).ravel()
            ids = np.flatnonzero(batch["tokens"][r] == processor.image_id)
            assert sorted(places.tolist()) == ids.tolist()
            assert (image["lengths"][r][there] == RUN).all()
            assert (image["extents"][r][there] == 16).all()
            assert not image["values"][r][~there].any() and not image["lengths"][r][~there].any()
            shade = dict(
                zip(slots.tolist(), image["values"][r][there][:, 0, 0, 0] // 40, strict=True)
            )
            numbers = batch["answers"][r][batch["answers"][r] >= 0]
            shared_rows += len(numbers) > 1 and bool(len(slots))
            for segment, number in enumerate(numbers, 1):
                # What an example sees in its row, the shared prefix and its own segment, is what
                # its conversation shows.
                mine = np.isin(batch["segments"][r], (0, segment))
                wanted = [SHADES.index(part) for part in source[number].turns[0].media]
                assert [shade[s] for s in sorted(slots.tolist()) if mine[s]] == wanted
                seen.add(int(number))
    assert seen == set(range(len(source))) and (shared_rows > 2 or loss_on == "text")


def test_split_pictures_and_whole_ones_stand_in_one_batch():
    options = dict(image_block="idefics2", chat_format="idefics2", image_tokens=2, split=True)
    sizes = dict(transform="idefics2", longest_edge=12, shortest_edge=4)
    from tokenizers_of_tests import byte_level

    processor = Processor(ProcessorConfig(**options, **sizes), byte_level())
    shown = [png(Image.new("RGB", size, "white")) for size in ((30, 10), (8, 1))]
    source = [example(picture, "Who?", index=i) for i, picture in enumerate(shown)]
    batch = pipeline_of(source, processor, 2, RowShape(160, 60, 2), patch=4).batch_at(0)
    image = batch["media"]["image"]
    assert image["values"].shape == (2, 5, 4, 12, 3)  # the whole view is 12 x 4
    assert sorted((image["slots"] >= 0).sum(axis=1).tolist()) == [1, 5]
    for r in range(2):
        for extent, values in zip(image["extents"][r], image["values"][r], strict=True):
            assert (values[: extent[0], : extent[1]] == 255).all()
            assert values.sum() == 255 * 3 * extent.prod()


def test_views_are_drawn_anew_and_the_same_in_a_resumed_run(processor):
    def batches(start: int, count: int) -> list:
        shape = RowShape(tokens=160, supervised=60, answers=2)
        pipeline = pipeline_of(several(), processor, 3, shape, augmented=True)
        return [pipeline.batch_at(step)["media"]["image"] for step in range(start, start + count)]

    whole, resumed = batches(0, 8), batches(5, 3)
    for mine, theirs in zip(whole[5:], resumed, strict=True):
        np.testing.assert_array_equal(mine["values"], theirs["values"])
    views = [v.tobytes() for b in whole for v in b["values"].reshape(-1, 16 * 16 * 3) if v.any()]
    assert len(set(views)) > len(SHADES)


def test_views_of_pictures_of_many_shapes_are_laid_out_like_the_pictures():
    """A picture that is wide stays wide in its views, in the room that its tile takes."""
    options = dict(image_block="idefics2", chat_format="idefics2", image_tokens=2)
    sizes = dict(transform="idefics2", longest_edge=24, shortest_edge=4)
    from tokenizers_of_tests import byte_level

    processor = Processor(ProcessorConfig(**options, **sizes), byte_level())
    shown = [png(Image.new("RGB", size, "white")) for size in ((48, 16), (10, 20))]
    source = [example(picture, "Who?", index=i) for i, picture in enumerate(shown)]
    found = []
    for augmented in (False, True):
        shape = RowShape(160, 60, 2)
        pipeline = pipeline_of(source, processor, 2, shape, patch=4, augmented=augmented)
        image = pipeline.batch_at(0)["media"]["image"]
        found.append((image["values"].shape, sorted(map(tuple, image["extents"][:, 0]))))
    assert found[0] == found[1] == ((2, 1, 20, 24, 3), [(8, 24), (20, 10)])


def test_pictures_are_read_when_a_batch_is_made_and_kept_in_bounds(processor):
    class Counted(list):
        reads = 0

        def __getitem__(self, number):
            self.reads += isinstance(number, int)
            return super().__getitem__(number)

    fresh = Processor(processor.config, processor.tokenizer)
    source = Counted(several())
    examples = tokenize(source, fresh, limit=160)
    pictures = Pictures.of(examples, source, fresh)
    assert source.reads == len(source) and fresh._prepared.used == 0
    rows, rng = [[e] for e in examples if len(e.media)], np.random.default_rng(0)
    pictures.lay_out(rows, len(rows), source, rng)
    reads = source.reads
    assert fresh._prepared.used == 5 * 16 * 16 * 3  # each picture once
    pictures.lay_out(rows, len(rows), source, rng)
    assert source.reads == reads
    fresh._prepared.limit = 0
    fresh._prepared._kept.clear()
    pictures.lay_out(rows, len(rows), source, rng)
    assert source.reads > reads


def test_the_text_before_a_picture_is_shared_where_that_is_asked_for(processor):
    def liking(shade: str, number: int) -> Example:
        turns = raw(f"Ada likes {shade}.", SHADES[number], "this?"), assistant("yes")
        return Example(f"{shade}{number}", "", turns)

    asked = [*(liking("red", number) for number in (1, 2, 3)), liking("blue", 1)]
    plain = tokenize(asked, processor, limit=500)
    assert len({e.key for e in plain}) == 4  # each ends with a picture of its own
    found = tokenize(asked, processor, limit=500, text=True)
    assert len({e.key for e in found[:3]}) == 1 and found[3].key != found[0].key
    first = found[0]
    assert first.prefix == int(first.spans[0, 0]) < plain[0].prefix
