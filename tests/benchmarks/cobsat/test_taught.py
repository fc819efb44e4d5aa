"""What models are taught: right answers, and no sequence of a test prompt."""

from collections import Counter

import pytest

from mllm.benchmarks.cobsat import taught
from mllm.benchmarks.cobsat.judge import PUBLISHED, SIDES, Judge
from mllm.benchmarks.cobsat.prompt_lists import samples
from mllm.benchmarks.cobsat.protocol import Protocol
from mllm.benchmarks.cobsat.tasks import TASKS, undisplay
from mllm.data.conversation import assistant, image, user

ANIMALS = ("zebra", "tiger", "sheep", "pig", "monkey", "lion", "dog", "cow", "cat", "bird")
WEIGHTS = dict(default=3.0, instruct=1.0, misleading=1.0, exact=1.0, caption=1.0, cot=1.0)


@pytest.fixture(scope="module")
def benchmark(squares):
    return squares[1]


@pytest.fixture(scope="module")
def named(benchmark):
    return {image(shown.picture).digest: shown.pair for shown in benchmark.rows("pictures")}


def sequences(benchmark, size, **values):
    options = dict(size=size, shots=(2, 4, 8), weights=WEIGHTS, group=4, described=2) | values
    return taught.Sequences(benchmark, Protocol(), **options)


def test_answers_are_right_and_follow_from_the_pictures(benchmark, named):
    seen = Counter()
    for example in sequences(benchmark, 400):
        prompt, mode = example.id.split("/")[1:3]
        seen[prompt, mode] += 1
        shown = [named[medium.digest] for medium in example.turns[0].media]
        said = example.turns[-1]
        if mode == "image":
            answer = named[said.media[0].digest]
            assert said.parts == (image(benchmark.picture(*answer)),)
        else:
            answer = next(p for p in named.values() if benchmark.caption(*p) == said.text)
        if prompt == "caption":
            assert not shown
            continue
        for side in SIDES:
            values = {getattr(pair, side) for pair in shown}
            same = len(values) == 1
            assert same == (getattr(answer, side) in values)
        assert len(example.turns) == (4 if prompt == "cot" else 2)
        assert answer not in shown
    assert set(seen) == {(prompt, mode) for prompt in WEIGHTS for mode in ("image", "text")}


def test_no_test_prompt_is_part_of_what_is_taught(benchmark, named):
    """By words: each run of a taught sequence, against the samples of the published lists."""
    tested = {
        (task, sample.theta, sample.inputs)
        for task in TASKS
        for mode, shots in (("default", 2), ("default", 4), ("default", 8), ("ft_test", 4))
        for sample in samples(task, shots, mode)
    }
    ids = {task.name: task.id for task in TASKS.values()}
    for example in sequences(benchmark, 1500, weights=dict(default=1.0)):
        name, _, _, made = example.id.split("/")
        task = TASKS[ids[name]]
        texts = [part for part in example.turns[0].parts if isinstance(part, str)]
        x = [undisplay(text.split(": ")[0]) for text in texts]
        theta = made.split("_")[1]
        pictures = [named[m.digest] for m in example.turns[0].media]
        assert pictures == [task.pair(word, theta) for word in x[:-1]]
        runs = [tuple(x[i:j]) for i in range(len(x)) for j in range(i + 1, len(x) + 1)]
        assert not any((task.id, theta, run) in tested for run in runs)


def test_a_test_prompt_would_be_found():
    sample = samples(1, 4)[17]
    places = [next(p for p in taught.tested() if len(p[0]) == 5)]
    assert places and sample.shots == 4
    (inputs, theta) = places[0]
    assert taught.is_tested(inputs, theta)
    rest = tuple(x for x in range(10) if x not in inputs)
    assert taught.is_tested((rest[0], *inputs, rest[1]), theta)
    assert len(taught.tested()) == 942 + 999 + 1000 + 1000 + 170 + 212 - _shared()


def _shared():
    """Return how many prompts both lists hold."""
    common = 0
    for shots in (2, 4):
        default, ft = (
            {(s.inputs, s.theta) for s in samples(1, shots, mode)}
            for mode in ("default", "ft_test")
        )
        common += len(default & ft)
    return common


def test_single_pictures_are_described_and_drawn(benchmark, named):
    source = taught.Named(benchmark, size=30, pictures=5, seed=1)
    first, seen = Counter(), set()
    for example in source:
        asked, answered = example.turns[::2], example.turns[1::2]
        assert len(asked) == len(answered) == 5
        for question, answer in zip(asked, answered, strict=True):
            (medium,) = question.media + answer.media
            pair = named[medium.digest]
            assert question.text + answer.text == benchmark.caption(*pair)
            first[bool(question.media)] += 1
            seen.add(pair)
    assert min(first.values()) > 50 and len(seen) > 100
    assert source[7] == taught.Named(benchmark, size=8, pictures=5, seed=1)[7]
    assert source[7].turns != source[8].turns


def test_prompts_of_a_group_show_the_same_shots(benchmark):
    source = sequences(benchmark, 40, weights=dict(default=1.0), group=8)
    for first in range(0, 40, 8):
        examples = [source[number] for number in range(first, first + 8)]
        assert len({tuple(m.digest for m in e.turns[0].media) for e in examples}) == 1
        assert len({e.turns for e in examples}) >= 2
    modes = [source[number].id.split("/")[2] for number in range(8)]
    assert modes == ["image", "text"] * 4
    rarer = sequences(benchmark, 40, weights=dict(default=1.0), group=8, described=4, shots=(2,))
    modes = [rarer[number].id.split("/")[2] for number in range(8)]
    assert modes == ["image", "image", "image", "text"] * 2
    assert len({rarer[number].turns for number in range(8)}) >= 6
    assert source[5] == sequences(benchmark, 40, weights=dict(default=1.0), group=8)[5]


def test_finetuning_has_the_published_sizes():
    assert len(taught.finetuning("all", (2,), ("default",), ("image",))) == 3000
    assert len(taught.finetuning("all", (4,), ("default",), ("image",))) == 6000
    left = taught.finetuning("leave_one_out", (2,), ("default",), ("image",), "style")
    assert len(left) == 8000 and {one.sample.task.theme for one in left} == {
        "color", "background", "action", "texture",
    }  # fmt: skip
    with pytest.raises(ValueError, match="leaves out"):
        taught.finetuning("all", (2,), ("cot",), ("image",))


def test_the_judge_learns_the_numbers_of_what_pictures_show(benchmark):
    questions = taught.JudgeQuestions(benchmark.rows("train"), Judge(forms=PUBLISHED))
    assert len(questions) == 1500
    for number in (0, 1, 778):
        example = questions[number]
        shown = benchmark.rows("train")[number // 3]
        side = SIDES[number % 3]
        asked, said = example.turns
        assert asked.media == (image(shown.picture),)
        options = asked.text.split("options: ")[1]
        assert f" ({said.text})" in options
        word = options.split(f"({said.text})")[1].split(" (")[0].split(". ")[0]
        assert undisplay(word) == getattr(shown.pair, side)
    seen = questions[776].turns
    shown = benchmark.rows("train")[258]
    assert seen == (user(image(shown.picture)), assistant(shown.caption))


def test_a_taught_judge_learns_the_words_of_what_pictures_show(benchmark):
    rows = benchmark.rows("train")
    questions = taught.JudgeQuestions(rows, Judge())
    assert len(questions) == 1000
    for number in (0, 1, 777):
        shown, side = rows[number // 2], SIDES[number % 2]
        asked, said = questions[number].turns
        theme, detail, name = shown.pair
        expected = theme if side == "detail" else ("animal" if name in ANIMALS else "object")
        assert asked == user(image(shown.picture), f"{expected}: ")
        assert undisplay(said.text) == (detail if side == "detail" else name)
