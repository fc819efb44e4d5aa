"""Pictures that a model draws are those of one whole row at a time, whatever shares and batches."""

import io
import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from PIL import Image
from toy import make_drawer, make_model, png

from mllm.checkpoints.loaded import Loaded
from mllm.data.conversation import assistant, code_ids, codes, image, raw, user
from mllm.evaluation import branching, drawing
from mllm.evaluation.codec import Codec
from mllm.evaluation.request import Choices, Picture, Request, Text
from mllm.evaluation.runner import LocalModel
from mllm.evaluation.store import collect
from mllm.models import interleaved

pytestmark = pytest.mark.thorough

SIZE, K = 24, 4
WIDTH = 192  # tokens, more than any prompt with its picture has
GREEDY = Picture(temperature=0.0)
LONG = "Who is the person in the picture, and where was the person born? " * 3


@pytest.fixture(scope="module")
def model() -> Loaded:
    return make_drawer(codes=SIZE)


def picture(seed: int):
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
    return png(Image.fromarray(pixels))


RED, BLUE, GREEN = map(picture, range(3))
SHOTS = [
    (user("red: ", RED, "blue: "),),
    (user("red: ", RED, "blue: ", BLUE, "green: "),),
    (user(LONG, "red: ", RED, "blue: ", BLUE, "Ada: "),),
    (user(LONG, "red: ", RED, "blue: ", BLUE, "Who: "),),
    (user(LONG, "red: ", RED, "blue: ", GREEN, "Who: "),),
    (user("red: ", RED), assistant("It is red. ", BLUE), user("Where? ")),
    (raw("USER: ", RED, "and ", GREEN, "ASSISTANT:"),),
    (user("Paris"),),
]


def ask(model, asked, done=(), **options) -> list:
    """Replies to (turns, ask), in order, None where it is done."""
    requests = [Request(str(n), f"c{n}", {}, *one) for n, one in enumerate(asked)]
    lots = list(LocalModel(model, **options).answer(requests, set(done)))
    found = {reply.key: reply for lot in lots for reply in lot}
    return [found.get(request.key) for request in requests]


def numbers(replies) -> list:
    return [reply.extra["codes"] for reply in replies]


@pytest.fixture(scope="module")
def logits(model):
    """Logits float64[V] after a prompt and codes, as one row without a cache."""

    @jax.jit
    def compute(batch):
        states, _ = model.model.hidden(model.config, model.variables, batch)
        return states[0] @ model.model.head(model.config, model.variables)

    first = model.processor.code_range[0]

    def after(turns, drawn, words=""):
        shown = Codec(model).turns([turns])[0]
        said = assistant(*[words] * bool(words), codes([0] * K))
        ids = list(model.processor.encode([*shown, said], ended=False).ids)[: -K - 1]
        ids += [first + number for number in drawn]
        there = np.arange(WIDTH) < len(ids)
        tokens = np.pad(np.array(ids, np.int32), (0, WIDTH - len(ids)))[None]
        positions = np.arange(WIDTH, dtype=np.int32)[None]
        batch = {"tokens": tokens, "positions": positions}
        batch["segments"] = np.where(there, 0, -1).astype(np.int32)[None]
        table = np.asarray(compute(batch), np.float64)[len(ids) - 1]
        return table[first : first + SIZE]

    return after


def greedy(logits, turns, words="", other=(), strength=0.0) -> list[int]:
    found: list[int] = []
    while len(found) < K:
        table = logits(turns, found, words)
        if strength:
            table = table + strength * (table - logits(other, found, words))
        found.append(int(table.argmax()))
    return found


@pytest.mark.slow
def test_drawn_codes_are_the_likeliest_of_whole_rows(model, logits):
    replies = ask(model, [(turns, GREEDY) for turns in SHOTS])
    expected = [greedy(logits, turns) for turns in SHOTS]
    assert numbers(replies) == expected and len({tuple(row) for row in expected}) > 3
    for reply, row in zip(replies, expected, strict=True):
        assert reply.state == "valid" and reply.text is None and reply.media.kind == "image"
        pixels = np.asarray(Image.open(io.BytesIO(reply.media.data)))
        drawn = interleaved.draw_pictures(model.config, model.variables, np.array([row], np.int32))
        np.testing.assert_allclose(pixels, drawn[0], atol=1)  # of 255, rounded in another program


def test_words_may_come_before_a_picture(model, logits):
    said = Picture(temperature=0.0, words="It is red. ")
    (reply,) = ask(model, [(SHOTS[0], said)])
    expected = greedy(logits, SHOTS[0], "It is red. ")
    assert reply.extra["codes"] == expected != greedy(logits, SHOTS[0])


def test_no_picture_is_ever_malformed_and_each_follows_its_seed(model):
    asked = [(SHOTS[n % 3 + 2], Picture(3.0, seed=n, top_p=(n % 5 + 1) / 5)) for n in range(60)]
    replies = ask(model, asked)
    drawn = np.array(numbers(replies))
    assert drawn.shape == (60, K) and drawn.min() >= 0 and drawn.max() < SIZE
    assert len(np.unique(drawn, axis=0)) > 30
    # One at a time, in other company, and resumed.
    assert numbers(ask(model, asked[:6], rows=1)) == drawn[:6].tolist()
    done = {str(n) for n in range(0, 60, 2)}
    rest = ask(model, asked, done)
    assert rest == [None if n % 2 == 0 else replies[n] for n in range(60)]


def test_the_same_prompt_is_read_once_for_all_its_pictures(model, monkeypatch):
    read = []
    generate = drawing.generate

    def seen(*arguments, **options):
        read.append(options["prompts"].shape)
        return generate(*arguments, **options)

    monkeypatch.setattr(drawing, "generate", seen)
    asked = [(turns, Picture(2.0, seed=seed)) for turns in SHOTS[:2] for seed in range(3)]
    together = numbers(ask(model, asked))
    assert read == [(6, 1)]
    assert together[1] == numbers(ask(model, asked[1:2]))[0]


@pytest.mark.parametrize("alike", [False, True])
def test_guided_pictures_are_those_of_the_formula(model, logits, alike):
    """Pushed away from the prompt without its shots, or from one with the same long beginning."""
    others = [(user("green: "),), (user("Ada"),)]
    turns = SHOTS[1:3]
    if alike:
        turns = SHOTS[2:4]
        others = [(user(LONG, "red: ", RED, "blue: ", BLUE),)] * 2
    asked = [(turns[0], Picture(0.0, guidance=3.0, other=others[0]))]
    asked += [(turns[1], Picture(0.0, contrast=0.5, other=others[1]))]
    found = numbers(ask(model, asked))
    assert found == [
        greedy(logits, turns[0], other=others[0], strength=2.0),
        greedy(logits, turns[1], other=others[1], strength=0.5),
    ]
    assert found[:1] == numbers(ask(model, asked[:1]))
    assert found[0] != greedy(logits, turns[0])


def test_guidance_of_no_strength_is_plain_drawing(model):
    plain = [(turns, Picture(2.0, seed=n)) for n, turns in enumerate(SHOTS[:3])]
    other = (user("Paris"),)
    neutral = [
        (turns, replace(asked, guidance=n % 2, other=other))
        for n, (turns, asked) in enumerate(plain)
    ]
    assert numbers(ask(model, neutral)) == numbers(ask(model, plain))
    # As strong as nothing, but decoded in pairs.
    barely = [(turns, replace(asked, contrast=1e-30, other=other)) for turns, asked in plain]
    found = ask(model, barely)
    assert numbers(found) == numbers(ask(model, plain))
    assert all("other_tokens" in reply.extra for reply in found)


def test_images_are_read_as_their_codes(model):
    as_codes = Codec(model).turns(SHOTS)
    assert all(
        media.kind == "codes" for turns in as_codes for turn in turns for media in turn.media
    )
    asked = [GREEDY, Text(4), Choices(("red", "Paris"))]
    shown = [(SHOTS[0], one) for one in asked]
    coded = [(as_codes[0], one) for one in asked]
    assert ask(model, shown) == ask(model, coded)


def test_text_holds_no_codes_and_is_narrowed(model, monkeypatch):
    said = []
    generate = branching.generate

    def seen(*arguments, **options):
        found = generate(*arguments, **options)
        said.append(np.asarray(found[0]))
        return found

    monkeypatch.setattr(branching, "generate", seen)
    shots = SHOTS[:2]
    texts = [r.text for r in ask(model, [(s, Text(12, 30.0, n)) for s in shots for n in range(8)])]
    barred = set(model.processor.barred_ids)
    assert len(barred) == SIZE + 2 and len(set(texts)) > 8
    assert said and not barred & set(np.concatenate(said, axis=None).tolist())
    likeliest = [reply.text for reply in ask(model, [(turns, Text(6)) for turns in shots])]
    for narrow in ({"top_k": 1}, {"top_p": 1e-9}):
        asked = [(turns, Text(6, 5.0, seed=3, **narrow)) for turns in shots]
        assert [reply.text for reply in ask(model, asked)] == likeliest


def test_a_model_without_a_codec_replies_with_codes(model):
    """The layout of SEED-LLaMA, whose pictures another program draws."""
    text = make_model(0)
    config = replace(text.config, decoder=model.config.decoder, vision=None, projector=None)
    params = {"decoder": model.variables["params"]["decoder"]}
    processor = model.processor.with_chat_format("seed_llama")
    plain = Loaded("llava", config, {"params": params}, processor)
    turns = Codec(model).turns(SHOTS[:2])
    found = ask(plain, [(one, GREEDY) for one in turns])
    with_codec = ask(replace(model, processor=processor), [(one, GREEDY) for one in SHOTS[:2]])
    assert numbers(found) == numbers(with_codec)
    assert [code_ids(reply.media) for reply in found] == numbers(found)


def test_a_model_of_no_codes_draws_nothing():
    with pytest.raises(ValueError, match="c0, request 0: asks for a picture, but the model writes"):
        ask(make_model(0), [(SHOTS[7], Picture())])


def test_a_model_that_gives_no_numbers_has_not_drawn(model):
    params = model.variables["params"]
    broken = {**params["decoder"], "norm": {"scale": params["decoder"]["norm"]["scale"] * np.nan}}
    broken = replace(model, variables={"params": {**params, "decoder": broken}})
    other = (user("Paris"),)
    found = ask(broken, [(SHOTS[0], GREEDY), (SHOTS[0], Picture(0.0, contrast=1.0, other=other))])
    assert [(reply.state, reply.media) for reply in found] == [("error", None)] * 2


def test_drawings_are_found_again_without_a_call(model, tmp_path):
    def rounds():
        """A picture, and then one that follows it."""
        first = yield [Request("a", "c", {}, SHOTS[0], Picture(seed=5))]
        yield [Request("b", "c", {}, (user("and ", first[0].media, "so: "),), Picture(seed=6))]

    whole = collect(rounds(), {"subject": LocalModel(model)}, tmp_path, {})
    assert collect(rounds(), {"subject": None}, tmp_path, {}) == whole
    rows = list(map(json.loads, (tmp_path / "replies.jsonl").read_text().splitlines()))
    assert [row["extra"]["codes"] for row in rows] == [r.extra["codes"] for _, r in whole]
    (tmp_path / "replies.jsonl").write_text(
        (tmp_path / "replies.jsonl").read_text().splitlines(keepends=True)[0]
    )
    assert collect(rounds(), {"subject": LocalModel(model)}, tmp_path, {}) == whole
    assert image(whole[0][1].media.data) == whole[0][1].media
