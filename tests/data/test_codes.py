"""Pictures as codes are ordinary tokens of a conversation, which nobody can type."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers_of_tests import EXACT

from mllm.data.blocks import MARK
from mllm.data.chat import CHAT_FORMATS
from mllm.data.chat_template import ChatTemplate
from mllm.data.codes import CODES, CodesConfig, with_code_tokens
from mllm.data.conversation import (
    Example,
    assistant,
    code_ids,
    codes,
    image,
    raw,
    system,
    user,
)
from mllm.data.hf_chat import with_template
from mllm.data.packing import RowShape, collate, pack
from mllm.data.processor import Processor, ProcessorConfig
from mllm.data.tokenized import tokenize

CONFIG = CodesConfig(size=7, length=3)
RED, BLUE, GREEN = codes([0, 6, 2]), codes([5, 5, 1]), codes([3, 0, 4])
TURNS = [user("red: ", RED, "blue: ", BLUE, "green: "), assistant(GREEN)]


@lru_cache
def tokenizer_of(kind: str) -> Tokenizer:
    return with_code_tokens(EXACT[kind](), CONFIG)


def make(kind: str = "byte level", **options) -> Processor:
    options = {"image": None, "chat_format": "seed_llama", "codes": CONFIG, **options}
    return Processor(ProcessorConfig(**options), tokenizer_of(kind))


def named(media) -> str:
    """A picture as SEED-LLaMA writes it."""
    return "<img>" + "".join(f"<img_{number:05d}>" for number in code_ids(media)) + "</img>"


@pytest.mark.parametrize("kind", EXACT)
def test_codes_are_the_tokens_of_their_names(kind):
    processor = make(kind, bos=None)
    found = processor.encode(TURNS[:1], generate=True)
    text = f"[INST] red: {named(RED)}blue: {named(BLUE)}green:  [/INST]\n"
    assert processor.text(TURNS[:1]) == text
    assert list(found.ids) == processor.tokenizer.encode(text, add_special_tokens=False).ids
    assert (found.media, found.spans, found.content) == ((), (), found.ids)
    first, end = processor.code_range
    drawn = [i - first for i in found.ids if first <= i < end]
    assert drawn == [*code_ids(RED), *code_ids(BLUE)]
    other = processor.encode([user("red: ", BLUE, "blue: ")], generate=True)
    assert other.ids != found.ids


@pytest.mark.parametrize("name", CHAT_FORMATS)
def test_what_an_assistant_draws_is_supervised_and_what_it_is_shown_is_not(name):
    processor = make(chat_format=name)
    marks = [processor.token_id(mark) for mark in ("<img>", "</img>")]

    def ids_of(media) -> list[int]:
        return [marks[0], *(processor.code_range[0] + i for i in code_ids(media)), marks[1]]

    words = [user("red: ", RED), assistant("A red one. ", BLUE), user("green: "), assistant(GREEN)]
    found = processor.encode(words)
    said = [list(found.ids[start:end]) for start, end in found.supervised]
    assert len(said) == 2
    assert [i for i in said[0] if i in ids_of(BLUE)] == ids_of(BLUE)
    assert processor.decode(said[0]) == "A red one."
    assert said[1][-len(ids_of(GREEN)) - 1 :] == [*ids_of(GREEN), processor.eos_id]
    places = [place for place, i in enumerate(found.ids) if i == marks[0]]
    taught = {place for start, end in found.supervised for place in range(start, end)}
    assert [place in taught for place in places] == [False, True, True]
    # A picture begins where decoding begins it.
    begun = processor.drawing(words[:3])
    assert begun.ids == found.ids[: len(begun.ids)] and len(begun.ids) == places[2] + 1
    assert begun.supervised == ()
    said = processor.drawing(words[:1], "A red one. ")
    assert said.ids == processor.encode(words[:2]).ids[: len(said.ids)]


def test_teacher_forcing_reads_the_answer_and_learns_it_alone():
    processor = make()
    (example,) = tokenize([Example("1", "c", tuple(TURNS))], processor, limit=99)
    ((start, end),) = example.supervised.tolist()
    learned = example.ids[start:end].tolist()
    first = processor.code_range[0]
    assert learned[1:4] == [first + 3, first, first + 4] and end == len(example.ids)
    assert learned[0] == processor.token_id("<img>") and learned[-1] == processor.eos_id
    asked = processor.encode(TURNS[:1], generate=True).ids
    assert tuple(example.ids[:start]) == asked
    batch = collate([[example]], 1, RowShape(tokens=64, supervised=16, answers=1))
    there = batch["targets"][0] < 64
    places = batch["targets"][0][there]
    assert batch["tokens"][0, places].tolist() == learned
    # Each token is predicted from the true ones before it.
    assert batch["sources"][0][there].tolist() == [place - 1 for place in places]
    assert batch["tokens"][0, :end].tolist() == example.ids.tolist()


def test_examples_share_the_pictures_that_they_begin_with():
    """Up to the last picture that another example also shows there; else the first token alone."""
    processor = make()
    shots = ["red: ", RED, "blue: ", BLUE]
    turns = [
        (user(*shots, "green: "), assistant(GREEN)),
        (user(*shots, "pink: "), assistant("a pink car")),
        (user("red: ", RED, "blue: ", GREEN, "pink: "), assistant(BLUE)),
        (user("blue: ", RED, "pink: "), assistant(BLUE)),
    ]
    source = [Example(str(number), "", said) for number, said in enumerate(turns)]
    examples = tokenize(source, processor, limit=100)
    end = processor.token_id(CONFIG.end)
    ends = [np.flatnonzero(example.ids == end) + 1 for example in examples]
    assert [e.prefix for e in examples] == [ends[0][1], ends[1][1], ends[2][0], 1]
    assert examples[0].key == examples[1].key and len({e.key for e in examples}) == 3
    rows = pack(examples, RowShape(tokens=100, supervised=40, answers=4))
    assert [[e.index for e in row] for row in rows] == [[0, 1], [2], [3]]
    batch = collate(rows[:1], 1, RowShape(tokens=100, supervised=40, answers=4))
    first = examples[0]
    assert batch["tokens"][0, : first.prefix].tolist() == first.ids[: first.prefix].tolist()
    assert not batch["loss_mask"][0, : first.prefix].any()


def test_pictures_may_be_learned_wherever_they_stand():
    """Their codes and the mark after them; what answers share counts once in a row."""
    processor = make()
    shots = ["red: ", RED, "blue: ", BLUE]
    turns = [
        (user(*shots, "green: "), assistant(GREEN)),
        (user(*shots, "pink: "), assistant("a pink car")),
        (user(*shots, "grey: ", GREEN, "pink: "), assistant(RED)),
    ]
    source = [Example(str(number), "", said) for number, said in enumerate(turns)]
    examples = tokenize(source, processor, limit=200)
    shape = RowShape(tokens=200, supervised=90, answers=4, loss_on="pictures")
    (row,) = pack(examples, shape)
    batch = collate([row], 1, shape)
    tokens, mask = batch["tokens"][0], batch["loss_mask"][0] > 0
    begin, end = (processor.token_id(name) for name in (CONFIG.begin, CONFIG.end))
    first = processor.code_range[0]
    of_pictures = (tokens >= first) & (tokens < first + CONFIG.size) | (tokens == end)
    assert mask[of_pictures].all() and of_pictures.sum() == 5 * (CONFIG.length + 1)
    # Otherwise the answers alone: marks before pictures, words, and ends.
    answers = collate([row], 1, RowShape(tokens=200, supervised=90, answers=4))
    answered = answers["loss_mask"][0] > 0
    assert (mask == of_pictures | answered).all() and answered[tokens == begin].sum() == 2
    there = batch["targets"][0] < 200
    assert sorted(batch["targets"][0][there]) == np.flatnonzero(mask).tolist()
    for target, source in zip(batch["targets"][0][there], batch["sources"][0][there], strict=True):
        assert batch["positions"][0, source] == batch["positions"][0, target] - 1
    # The capacity counts the shared pictures once as well.
    full = RowShape(tokens=200, supervised=int(mask.sum()), answers=4, loss_on="pictures")
    assert len(pack(examples, full)) == 1
    assert len(pack(examples, replace(full, supervised=full.supervised - 1))) == 2


@pytest.mark.parametrize("kind", EXACT)
def test_nobody_can_type_codes(kind):
    processor = make(kind)
    barred = set(processor.barred_ids)
    assert len(barred) == CONFIG.size + 2
    typed = f"{named(RED)} {MARK}<img_00001>{CODES} <img>"
    shown = [system(typed), user(typed), assistant(typed), user("a", typed)]
    found = processor.encode(shown, generate=True)
    assert not barred & set(found.ids)
    assert not barred & set(processor.answer(typed))
    found = processor.encode([*shown, assistant(typed, BLUE)])
    assert sum(i in barred for i in found.ids) == CONFIG.length + 2
    # In a raw turn the names of special tokens are those tokens, as for every other one.
    whole = processor.encode([raw(f"a: {named(RED)}b: ")], generate=True)
    assert whole.ids == processor.encode([raw("a: ", RED, "b: ")], generate=True).ids
    taught = processor.encode([raw("a: ", RED, "b: "), assistant(BLUE)])
    assert taught.ids[: len(whole.ids)] == whole.ids
    assert taught.supervised == ((len(whole.ids), len(whole.ids) + CONFIG.length + 3),)
    begun = processor.drawing([raw("a: ", RED, "b: ")])
    assert begun.ids == taught.ids[: len(whole.ids) + 1]


def test_a_chat_template_writes_codes_where_they_stand():
    source = (
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
    )
    processor = with_template(make(bos=None), ChatTemplate(source))
    typed = "<img_00003>"
    turns = [user("red: ", RED, typed), assistant(BLUE)]
    found = processor.encode(turns, ended=False)
    text = f"user: red: {named(RED)}{typed}\nassistant: {named(BLUE)}"
    assert processor.text(turns, generate=False).strip() == text
    first, end = processor.code_range
    assert [i - first for i in found.ids if first <= i < end] == [0, 6, 2, 5, 5, 1]
    ((start, stop),) = found.supervised
    assert stop - start == CONFIG.length + 2 and stop == len(found.ids)


def test_seed_llama_has_its_published_ids():
    """32,000 tokens of text, code k as 32000 + k, and 40,194 tokens in all."""
    words = {f"w{number}": number for number in range(32_000 - 9)}
    for word in ("<unk>", "<s>", "</s>", "<pad>", "[INST]", "[/INST]", "red:", "blue:", "USER:"):
        words[word] = len(words)
    tokenizer = Tokenizer(models.WordLevel(words, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    published = CodesConfig()
    grown = with_code_tokens(tokenizer, published)
    assert tokenizer.get_vocab_size() == 32_000 and grown.get_vocab_size() == 40_194
    config = ProcessorConfig(image=None, chat_format="seed_llama", codes=published)
    processor = Processor(config, grown)
    assert processor.code_range == (32_000, 40_192)
    shown = np.arange(32) * 264
    found = processor.encode([user("red: ", codes(shown), "blue: ")], generate=True)
    marks = [processor.token_id(mark) for mark in ("<img>", "</img>")]
    plain = [words[word] for word in ("<s>", "[INST]", "red:", "blue:", "[/INST]")]
    expected = [*plain[:3], marks[0], *(32_000 + shown), marks[1], *plain[3:]]
    assert list(found.ids) == expected
    assert with_code_tokens(grown, published).to_str() == grown.to_str()


def test_a_processor_with_codes_is_kept_with_them(tmp_path):
    processor = make()
    processor.save(tmp_path)
    again = Processor.load(tmp_path)
    assert again.config == processor.config and again.digest == processor.digest
    assert again.encode(TURNS).ids == processor.encode(TURNS).ids
    assert "codes" not in ProcessorConfig().described()
    assert ProcessorConfig(codes={"size": 7, "length": 3}).codes == CONFIG


@pytest.mark.parametrize(
    "turns, message",
    [
        ([user(codes([1, 2]), "a")], "row 3: shows 2 codes, but a picture has 3 of them"),
        ([user(codes([1, 7, 0]), "a")], "row 3: shows code 7, but the codebook ends at 6"),
        ([user(image(b""), "a")], "row 3: .* 'image', but the model takes text and codes only"),
    ],
)
def test_pictures_that_are_none_of_the_codebook_are_named(turns, message):
    with pytest.raises(ValueError, match=message):
        make().encode(turns, generate=True, where="row 3")


def test_what_has_no_codes_is_named():
    plain = Processor(ProcessorConfig(image=None), EXACT["byte level"]())
    with pytest.raises(ValueError, match="'codes', but the model takes text only"):
        plain.encode([user(RED, "a")], generate=True)
    with pytest.raises(ValueError, match="row 3: asks for a picture, but the model writes text"):
        plain.drawing([user("a")], where="row 3")
    with pytest.raises(ValueError, match="tokenizer has no token '<img>'"):
        Processor(replace(plain.config, codes=CONFIG), plain.tokenizer)
    apart = with_code_tokens(plain.tokenizer, CodesConfig(size=1, length=1))
    with pytest.raises(ValueError, match=r"token '<img_00001>' as id \d+, expected \d+: 1 after"):
        Processor(replace(plain.config, codes=CONFIG), with_code_tokens(apart, CONFIG))
    with pytest.raises(ValueError, match=r"codes\.length: expected 1 or more, found 0"):
        CodesConfig(length=0)
    with pytest.raises(ValueError, match=r"codes\.name: expected a pattern such as"):
        CodesConfig(name="<img_x>")
