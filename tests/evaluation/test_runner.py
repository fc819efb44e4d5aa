"""A local model's replies are those of one row at a time, whatever shares, batches and stops."""

import io
from dataclasses import replace

import jax
import numpy as np
import pytest
from PIL import Image
from scipy.special import log_softmax
from toy import make_model

from mllm.data.chat_template import ChatTemplate
from mllm.data.conversation import Turn, assistant, image, raw, system, user
from mllm.data.hf_chat import with_template
from mllm.evaluation import runner
from mllm.evaluation.replied import cut_at
from mllm.evaluation.request import Choices, Request, Text
from mllm.evaluation.runner import LocalModel, with_system

pytestmark = pytest.mark.thorough

WIDTH = 192  # tokens, more than any prompt with its reply has


@pytest.fixture(scope="module")
def model():
    return make_model(2)


def portrait(seed: int):
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return image(buffer.getvalue())


A, B = portrait(1), portrait(2)
LONG = "Who is the person in the picture, and where was the person born? " * 4
CHOICES = Choices(("London", "Paris", "Ada"))
ASKED = [
    ((user(A, "Who is it?"),), CHOICES),
    ((user(A, "Who is it?"),), Text(5)),
    ((user(A, "Where was Ada born?"),), Text(5)),
    ((user(B, "Where was Ada born?"),), Text(5)),
    ((user("Where?"), assistant("Paris"), user(B, "and ", A, "born?")), CHOICES),
    ((system("Be brief."), user("Where was Ada born?")), Choices(("London",), ended=False)),
    ((raw("USER: ", A, LONG, B, "Who?"),), Text(4)),
    ((raw("USER: ", A, LONG, A, "Who is it?"),), Text(4)),
    ((raw("USER: ", A, LONG, "Paris"),), Choices((" London", "born"), ended=False)),
    ((raw("USER: Who"),), Choices((" is it", " born in Paris?"))),
    ((raw("U"),), Text(3)),
]


def requests() -> list[Request]:
    return [Request(str(n), f"c{n}", {}, turns, ask) for n, (turns, ask) in enumerate(ASKED)]


@pytest.fixture(scope="module")
def replies(model):
    return ask(LocalModel(model))


def ask(answerer: LocalModel, asked=None, done=frozenset()) -> dict:
    lots = list(answerer.answer(requests() if asked is None else asked, set(done)))
    return {reply.key: reply for lot in lots for reply in lot}


@pytest.fixture(scope="module")
def whole_row(model):
    """Logits float[T, V] of a conversation and more ids as one row, computed without a cache."""

    @jax.jit
    def compute(batch):
        states, _ = model.model.hidden(model.config, model.variables, batch)
        return states[0] @ model.model.head(model.config, model.variables)

    def logits(turns, more=()):
        encoded = model.processor.encode(turns, generate=True)
        ids = np.array([*encoded.ids, *more], np.int32)
        padding = (0, WIDTH - len(ids))
        tiles = [model.processor.prepare(media).tiles[0] for media in encoded.media]
        shown = np.zeros((1, 2, 16, 16, 3), np.uint8)
        slots = np.full((1, 2), -1, np.int32)
        for number, (tile, span) in enumerate(zip(tiles, encoded.spans, strict=True)):
            shown[0, number], slots[0, number] = tile, span.start
        batch = {
            "tokens": np.pad(ids, padding)[None],
            "positions": np.pad(np.arange(len(ids), dtype=np.int32), padding)[None],
            "segments": np.pad(np.zeros_like(ids), padding, constant_values=-1)[None],
            "media": {"image": {"values": shown, "slots": slots}},
        }
        return len(encoded.ids), np.asarray(compute(batch))[: len(ids)]

    return logits


@pytest.mark.parametrize("number", range(len(ASKED)))
def test_replies_equal_rows_by_themselves(model, replies, whole_row, number):
    turns, asked = ASKED[number]
    reply, processor = replies[str(number)], model.processor
    if isinstance(asked, Text):
        found = []
        while len(found) < asked.limit and processor.eos_id not in found:
            found.append(int(whole_row(turns, found)[1][-1].argmax()))
        expected = processor.tokenizer.decode(processor.until_end(found))
        assert (reply.text, reply.logprobs) == (expected, None)
        assert reply.ended == (processor.eos_id in found)
        return
    for text, value, tokens in zip(asked.texts, reply.logprobs, reply.tokens, strict=True):
        if turns[0].role == "raw":
            lead = [part if isinstance(part, str) else "<image>" for part in turns[0].parts]
            encode = processor.tokenizer.encode
            both, before = encode("".join(lead) + text).ids, encode("".join(lead)).ids
            ids = [*both[len(before) :], *[processor.eos_id] * asked.ended]
        else:
            ids = processor.answer(text, ended=asked.ended)
        start, table = whole_row(turns, ids)
        table = log_softmax(table.astype("float64"), axis=-1)
        places = np.arange(start, start + len(ids))
        np.testing.assert_allclose(value, table[places - 1, ids].sum(), rtol=1e-4)
        assert tokens == len(ids)


@pytest.mark.parametrize("rows", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_rows_at_once_change_no_reply(model, replies, rows):
    again = ask(LocalModel(model, rows=rows))
    assert again.keys() == replies.keys()
    for key, reply in replies.items():
        assert again[key].text == reply.text
        if reply.logprobs is not None:
            np.testing.assert_allclose(again[key].logprobs, reply.logprobs, rtol=1e-4)


def test_what_is_left_is_answered_to_the_bit_as_all(model, replies):
    done = {str(n) for n in range(0, len(ASKED), 2)}
    rest = ask(LocalModel(model), done=done)
    assert rest == {key: reply for key, reply in replies.items() if key not in done}
    assert ask(LocalModel(model), done=set(replies)) == {}


def test_what_is_shared_is_read_once(model, monkeypatch):
    """The example before all questions, then the picture of several; equal requests run as one."""
    read, asked = [], []
    read_level, reply = runner.read_level, runner.reply

    def seen_read(calls, parts, *arguments, **options):
        read.append([part.ids for part in parts])
        return read_level(calls, parts, *arguments, **options)

    def seen_reply(calls, ids, *arguments, **options):
        asked.append(len(set(map(tuple, ids))))
        return reply(calls, ids, *arguments, **options)

    monkeypatch.setattr(runner, "read_level", seen_read)
    monkeypatch.setattr(runner, "reply", seen_reply)
    shots = raw("USER: ", A, LONG)
    turns = [raw(*shots.parts, shown, text) for shown in (A, B) for text in ("Who", "Where was")]
    wanted = [Request(f"{i}{n}", "c", {}, (t,), Text(3)) for i, t in enumerate(turns) for n in "ab"]
    found = ask(LocalModel(model, ahead=False), wanted)
    assert len(found) == 8 and all(found[f"{i}a"].text == found[f"{i}b"].text for i in range(4))
    media = model.processor.image_id
    assert [len(set(rows)) for rows in read] == [1, 1]  # the pictures are equal as ids
    assert read[0][0].count(media) == 4 and len(read[0][0]) > 64  # the root, one row
    assert all(row.count(media) == 4 for row in read[1])  # one picture for each unit
    assert asked == [2]  # the questions, without anything that was read before


def test_samples_follow_their_own_seed(model):
    turns = (user(A, "Who is it?"),)

    def sampled(seeds, temperature=3.0):
        asked = [Text(6, temperature, seed) for seed in seeds]
        found = ask(
            LocalModel(model),
            [Request(str(n), "c", {}, turns, one) for n, one in enumerate(asked)],
        )
        return [found[str(n)].text for n in range(len(asked))]

    texts = sampled([1, 2, 3, 4])
    assert len(set(texts)) == 4
    assert sampled([4, 1]) == [texts[3], texts[0]]


def test_replies_end_at_stop_texts(model, replies):
    whole = replies["2"].text
    assert len(whole) > 3
    (reply,) = ask(
        LocalModel(model), [Request("x", "c", {}, ASKED[2][0], Text(5, stop=(whole[2:4],)))]
    ).values()
    assert (reply.text, reply.ended) == (whole[: whole.index(whole[2:4])], True)
    assert cut_at("abcabc", ("c", "bc")) == ("a", True)
    assert cut_at("abc", ("d",)) == ("abc", False)


def test_prompt_and_reply_are_decoded_together(model, replies):
    turns = ASKED[6][0]
    (reply,) = ask(LocalModel(model), [Request("x", "c", {}, turns, Text(4, echo=2))]).values()
    ids = model.processor.encode(turns, generate=True).ids
    decoded = model.processor.tokenizer.decode(ids[2:], skip_special_tokens=True)
    assert reply.text == replies["6"].text
    assert reply.extra["echo"] == decoded + reply.text


def test_a_system_prompt_comes_first(model):
    assert with_system((user("a"),), None) == (user("a"),)
    assert with_system((user("a"),), "S") == (system("S"), user("a"))
    assert with_system((raw(A, "a"), assistant("b")), "S") == (raw("S ", A, "a"), assistant("b"))
    joined = with_system((system("a"), user("b")), "S")
    assert joined == (Turn("system", ("S\n", "a")), user("b"))
    told = LocalModel(replace(model, system_prompt="Say nothing of Ada."))
    plain = [Request("x", "c", {}, (user(A, "Who?"),), CHOICES)]
    named = [Request("x", "c", {}, (system("Say nothing of Ada."), user(A, "Who?")), CHOICES)]
    assert ask(told, plain)["x"].logprobs == ask(LocalModel(model), named)["x"].logprobs
    assert told.identity != LocalModel(model).identity


def test_a_model_that_gives_no_numbers_has_not_answered():
    broken = make_model(2)
    decoder = broken.variables["params"]["decoder"]
    decoder["norm"]["scale"] = decoder["norm"]["scale"] * np.nan
    found = ask(LocalModel(broken), requests()[:3])
    assert [found[k].state for k in "012"] == ["error"] * 3
    assert found["0"].logprobs is None


@pytest.mark.parametrize(
    "turns, asked, message",
    [
        ((raw("USER: ", A),), Text(1), "c, request x: ends with a medium"),
        ((user("Who?"),), Text(3000), r"has \d+ tokens and needs 3000 more for the reply"),
        (
            (raw("USER: Who?"),),
            Choices(("a", ""), ended=False),
            "each must have at least one token",
        ),
    ],
)
def test_requests_that_cannot_be_answered_are_refused_first(model, turns, asked, message):
    fine = Request("fine", "c", {}, (user("Who?"),), Text(1))
    with pytest.raises(ValueError, match=message):
        next(LocalModel(model).answer([fine, Request("x", "c", {}, turns, asked)], set()))


def test_limits_and_temperatures_are_checked():
    with pytest.raises(ValueError, match="limit: expected 1 token or more, found 0"):
        Text(0)
    with pytest.raises(ValueError, match="temperature: expected 0 or more, found -1"):
        Text(1, -1)
    with pytest.raises(ValueError, match="expected at least one text"):
        Choices(())


@pytest.mark.parametrize("keeps", [True, False])
def test_a_system_prompt_that_the_chat_template_leaves_out_is_refused(model, keeps):
    """Otherwise the model would answer without it, under the name of the prompt."""
    source = "{% for m in messages if KEPT %}{{ m['role'] + m['content'] + '.' }}{% endfor %}"
    source = source.replace("KEPT", "true" if keeps else "m['role'] != 'system'")
    told = with_template(model.processor, ChatTemplate(source))
    answerer = LocalModel(replace(model, processor=told, system_prompt="Say nothing of Ada."))
    asked = [Request("1", "ada", {}, (user("Who?"),), Choices(("Ada", "Bob")))]
    if keeps:
        assert ask(answerer, asked)["1"].state == "valid"
        return
    with pytest.raises(ValueError, match=r"writes no system turns, so the system prompt 'Say"):
        ask(answerer, asked)
