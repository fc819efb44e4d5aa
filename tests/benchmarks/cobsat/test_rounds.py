"""What is asked in which order, and what the scores are of answers that are known."""

import random
from collections import Counter
from dataclasses import replace
from itertools import product

import pytest

from mllm.benchmarks.cobsat import brackets
from mllm.benchmarks.cobsat.judge import PUBLISHED, SIDES, Judge, vocabulary, word_of
from mllm.benchmarks.cobsat.prompt_lists import samples
from mllm.benchmarks.cobsat.protocol import JUDGE, Protocol, asked, chosen_samples, rounds
from mllm.benchmarks.cobsat.scores import METRICS, records_of, scores_of
from mllm.benchmarks.cobsat.tasks import TASKS, WORDS, display, pairs
from mllm.data.conversation import Media, image
from mllm.evaluation.request import Choices, Picture, Reply, Text

PROTOCOL = Protocol(shots=(2, 4), prompts=3, fewer=2, judge=Judge(forms=PUBLISHED))


class AllKnowing:
    """A judge that knows all pictures of the benchmark and its views, and reads captions."""

    def __init__(self, benchmark):
        self.known = {}
        for split in ("pictures", "test"):
            for shown in benchmark.rows(split):
                self.known[image(shown.picture).digest] = shown.pair

    def reply(self, request):
        tags = request.tags
        pair = self.known[tags["output"]]
        word = getattr(pair, tags["side"])
        said = str(1 + WORDS[tags["words"]].index(word))
        said = display(word) if tags["form"] == "taught" else said
        if isinstance(request.ask, Text):
            return Reply(request.key, text=said)
        values = tuple(float(text == said) for text in request.ask.texts)
        return Reply(request.key, logprobs=values, tokens=(1,) * 10)


def drive(benchmark, protocol, subject, judge=None):
    """Return what was asked, round by round, with the replies."""
    judge = judge or AllKnowing(benchmark).reply
    asking, found = rounds(benchmark, protocol), []
    try:
        requests = next(asking)
        while True:
            replies = [(judge if r.model == JUDGE else subject)(r) for r in requests]
            found.append(list(zip(requests, replies, strict=True)))
            requests = asking.send(replies)
    except StopIteration:
        return found


def answers_of(answerer):
    return lambda request: next(answerer.answer([request], set()))[0]


def scores(benchmark, protocol, subject):
    answered = [pair for lot in drive(benchmark, protocol, subject) for pair in lot]
    return {
        (s["task"], s["shots"], s["prompt"], s["mode"], s["metric"]): s["value"]
        for s in scores_of(records_of(answered))
    }


@pytest.fixture(scope="module")
def benchmark(squares):
    return squares[1]


def test_each_sample_is_asked_in_all_types_and_modes(benchmark):
    oracle = answers_of(brackets.shows("oracle", benchmark, brackets.right))
    first, second, about = drive(benchmark, PROTOCOL, oracle)
    counts = Counter((r.tags["prompt"], r.tags["mode"]) for r, _ in [*first, *second])
    cells = len(TASKS) * 2
    for prompt, mode in product(PROTOCOL.types, PROTOCOL.modes):
        assert counts[prompt, mode] == cells * (3 if prompt == "default" else 2)
    assert counts["cot", ""] == cells * 2  # an analysis serves both modes
    assert {r.tags["prompt"] for r, _ in second} == {"cot"}
    for request, _ in [*first, *second]:
        wanted = Picture if request.tags["mode"] == "image" else Text
        assert isinstance(request.ask, wanted) and request.model == "subject"
    # One picture is judged once, whatever the prompts that it answers.
    pictures = {(reply.media.digest, r.tags["theme"]) for r, reply in first if reply.media}
    assert len(about) == len(pictures) * 4 and {r.model for r, _ in about} == {JUDGE}
    keys = [request.key for lot in (first, second, about) for request, _ in lot]
    assert len(set(keys)) == len(keys)


def test_the_same_records_are_drawn_for_all_numbers_of_shots():
    protocol = Protocol(prompts=20)
    numbers = [[s.number for s in chosen_samples(protocol, 4, shots)] for shots in (2, 4, 6, 8)]
    assert numbers == [numbers[0]] * 4 and len(set(numbers[0])) == 20
    assert sorted(s.number for s in chosen_samples(Protocol(), 4, 2)) == list(range(1000))
    assert sum(1 for _ in asked(Protocol(types=("default",)))) == 10 * 4 * 1000 * 2


def test_the_second_turn_holds_the_first_and_the_models_analysis(benchmark):
    oracle = answers_of(brackets.shows("oracle", benchmark, brackets.right))

    def subject(request):
        if request.tags["part"] == "analysis":
            return Reply(request.key, text=f"I think of {request.cluster}.")
        return oracle(request)

    first, second, _ = drive(benchmark, PROTOCOL, subject)
    begun = {(r.cluster, r.tags["shots"]): r for r, _ in first if r.tags["part"] == "analysis"}
    for request, _ in second:
        above = begun[request.cluster, request.tags["shots"]]
        assert request.turns[:1] == above.turns
        assert request.turns[1].text == f"I think of {request.cluster}."
        assert len(request.turns) == 3 and not request.turns[2].media


KNOWN = {  # overall, textual, visual
    "oracle": (1.0, 1.0, 1.0),
    "view": (1.0, 1.0, 1.0),
    "copy_last": (0.0, 0.0, 1.0),
}


@pytest.mark.parametrize("name", KNOWN)
def test_brackets_have_the_scores_that_follow_from_what_they_are(name, benchmark):
    choose = {"oracle": brackets.right, "copy_last": brackets.copied}.get(name)
    made = brackets.shows(name, benchmark, choose) if choose else brackets.view(benchmark)
    found = scores(benchmark, PROTOCOL, answers_of(made))
    cells = {place[:4] for place in found}
    assert {("all", "2", "cot", "image"), ("Action-II", "4", "exact", "text")} <= cells
    for cell in cells:
        assert tuple(found[*cell, m] for m in ("overall", "textual", "visual")) == KNOWN[name]


@pytest.mark.slow
def test_guesses_are_at_chance(benchmark):
    protocol = replace(PROTOCOL, prompts=300, types=("default",), modes=("image",))

    def ends(choose):
        made = brackets.shows("guess", benchmark, lambda request: choose(request, 0))
        found = scores(benchmark, protocol, answers_of(made))
        cell = ("all", "all", "default", "image")
        return [found[*cell, name] for name in ("overall", "textual", "visual")]

    overall, textual, visual = ends(brackets.guessed)
    assert abs(overall - 0.01) < 0.006 and abs(textual - 0.1) < 0.02 and abs(visual - 0.1) < 0.02
    overall, textual, visual = ends(brackets.query_only)
    assert textual == 1.0 and abs(visual - 0.1) < 0.02 and overall == visual


def test_other_pictures_are_shown_and_the_question_stays(benchmark):
    seen = []

    class Noting:
        def answer(self, requests, done):
            seen.extend(requests)
            yield [Reply(r.key, text="x") for r in requests]

    protocol = replace(PROTOCOL, tasks=(3,), types=("default", "caption"), modes=("text",))
    first = next(rounds(benchmark, protocol))
    list(brackets.OtherTheta(Noting(), benchmark).answer(first, set()))
    named = {image(shown.picture).digest: shown.pair for shown in benchmark.rows("pictures")}
    for before, after in zip(first, seen, strict=True):
        hidden = before.tags["hidden"]
        assert before.key == after.key and before.tags == after.tags
        text = after.turns[0].text
        if before.tags["prompt"] == "caption":
            assert hidden not in text and hidden in before.turns[0].text
            continue
        assert text == before.turns[0].text
        old, new = ([named[m.digest] for m in r.turns[0].media] for r in (before, after))
        assert [p.detail for p in old] == [p.detail for p in new]
        assert {p.object for p in old} == {hidden}
        (other,) = {p.object for p in new}
        assert other != hidden


def random_judge(seed):
    """Return a judge, and what it says of each output by each form."""
    said = {}

    def reply(request):
        tags = request.tags
        number = random.Random(f"{seed}{request.key}").randint(0, 11)
        said[tags["output"], tags["words"], tags["form"]] = number
        if isinstance(request.ask, Choices):
            values = tuple(float(at + 1 == number) for at in range(10))
            return Reply(request.key, logprobs=values, tokens=(1,) * 10)
        return Reply(request.key, text=f"It is {number}" if number % 2 else str(number))

    return reply, said


def test_scores_are_counts_of_right_answers(benchmark):
    protocol = replace(PROTOCOL, types=("default", "exact"), modes=("image",), prompts=9, fewer=0)
    reply, said = random_judge(1)
    oracle = answers_of(brackets.shows("oracle", benchmark, brackets.right))
    lots = drive(benchmark, protocol, oracle, reply)
    answered = [pair for lot in lots for pair in lot]
    found = {
        (s["task"], s["shots"], s["prompt"], s["metric"]): (s["value"], s["n"])
        for s in scores_of(records_of(answered))
    }
    for task, shots, prompt in product(TASKS.values(), (2, 4), ("default", "exact")):
        totals = dict.fromkeys(METRICS, 0)
        chosen = chosen_samples(protocol, task.id, shots)
        for sample in chosen:
            picture = image(benchmark.picture(*sample.target)).digest
            right = {}
            for side in SIDES:
                theta_side = "object" if task.infers_object else "detail"
                words = WORDS[task.theta if side == theta_side else task.x]
                number = max(said[picture, vocabulary(task.theme, side), "numbers"], 1)
                number = 1 if number == 11 else number  # all alike: the first
                right[side] = words[number - 1] == getattr(sample.target, side)
            x_side = "detail" if task.infers_object else "object"
            theta_side = "object" if task.infers_object else "detail"
            totals["detail"] += right["detail"]
            totals["object"] += right["object"]
            totals["textual"] += right[x_side]
            totals["visual"] += right[theta_side]
            totals["overall"] += right["detail"] and right["object"]
        for metric, total in totals.items():
            value, n = found[task.name, str(shots), prompt, metric]
            assert n == len(chosen) == 9 and value == pytest.approx(total / 9)
            low, high = min(totals["detail"], totals["object"]), totals["overall"]
            assert high <= low


def test_lost_replies_are_wrong_and_nothing_else_changes(benchmark):
    protocol = replace(PROTOCOL, types=("default",), prompts=10)
    oracle = answers_of(brackets.shows("oracle", benchmark, brackets.right))
    lost = random.Random(0)

    def forgetful(request):
        reply = oracle(request)
        return (
            replace(reply, text=None, media=None, state="error") if lost.random() < 0.2 else reply
        )

    lots = drive(benchmark, protocol, forgetful)
    replies = [pair for lot in lots for pair in lot if pair[0].model != JUDGE]
    records = records_of([pair for lot in lots for pair in lot])
    for score in scores_of(records):
        group = [
            (request, reply)
            for request, reply in replies
            if request.tags["mode"] == score["mode"]
            and score["task"] in (request.tags["task"], "all")
            and score["shots"] in (request.tags["shots"], "all")
        ]
        if score["task"] in ("all-I", "all-II"):
            continue
        gone = sum(reply.state == "error" for _, reply in group)
        assert score["n"] == len(group)
        assert score["value"] == pytest.approx(1 - gone / len(group))


def test_without_a_judge_pictures_have_no_score(benchmark):
    protocol = replace(PROTOCOL, judge=None)
    oracle = answers_of(brackets.shows("oracle", benchmark, brackets.right))
    assert {place[3] for place in scores(benchmark, protocol, oracle)} == {"text"}


def test_what_cannot_mislead_is_left_out():
    asked_so = {one.prompt for one in asked(Protocol(data="ft_test", shots=(4,), prompts=2))}
    assert "misleading" not in asked_so and "cot" in asked_so


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (dict(shots=(6,), data="ft_test"), "numbers from 1 to 4"),
        (dict(types=("defualt",)), "evaluation.types"),
        (dict(text_style="gpt"), "evaluation.text_style"),
    ],
)
def test_a_protocol_that_cannot_be_asked_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        Protocol(**changed)


def test_guidance_is_against_a_prompt_without_shots_or_query(benchmark):
    for name, kept in (("guidance", (0, "orange: ")), ("contrast", (2, ""))):
        drawing = replace(PROTOCOL.drawing, **{name: 1.5})
        protocol = replace(PROTOCOL, tasks=(1,), modes=("image",), drawing=drawing)
        requests = [r for r in next(rounds(benchmark, protocol)) if r.tags["prompt"] == "default"]
        of = [r for r in requests if r.tags["inputs"][-1] == "orange"] or requests
        other = of[0].ask.other[0]
        words = f"{of[0].tags['inputs'][-1]}: " if kept[1] else ""
        assert len(other.media) == (int(of[0].tags["shots"]) if kept[0] else 0)
        assert str(other.parts[-1] if isinstance(other.parts[-1], str) else "") == words


def test_judges_words_are_read_by_three_rules():
    from mllm.benchmarks.cobsat.judge import read_published, read_strict

    cases = {  # reply: published, strict
        "3": (3, 3),
        " (10)": (10, 10),
        "7.": (7, 7),
        "1 or 2": (None, None),  # twelve
        "The answer is 4": (4, None),
        "0": (None, None),
        "11": (None, None),
        "none": (None, None),
        "1 0": (10, None),
    }
    for reply, (published, strict) in cases.items():
        assert (read_published(reply), read_strict(reply)) == (published, strict), reply
    assert word_of("style", "detail", 9) == "3d" and word_of("style", "object", None) is None


def test_the_published_question_and_its_cut():
    from mllm.benchmarks.cobsat.judge import question

    tail = ". Answer the number only and do not include any other texts (e.g., 1)."
    animals = " (1)zebra (2)tiger (3)sheep (4)pig (5)monkey (6)lion (7)dog (8)cow (9)cat (10)bird"
    assert question("background", "object") == (
        f"What is the main object in this image? Answer from the following options: {animals}{tail}"
    )
    asked = question("background", "detail", "A dog")
    assert asked.startswith(
        "Image caption: A dog. What is the background (of the main object) in the image based on "
        "the description? Answer from the following options:  (1)beach (2)desert"
    )
    assert "(5)amusement park (6)gym" in asked and asked.endswith(tail)
    long = "word " * 500
    assert len(question("color", "detail", long)) == 2047
    assert question("color", "detail", long, "whole").endswith(tail)


def test_exact_words_need_one_word_of_each_vocabulary():
    from mllm.benchmarks.cobsat.judge import exact_words

    assert exact_words("color", "A red bag.") == {"detail": "red", "object": "bag"}
    assert exact_words("color", "A red bag on a chair.") == {"detail": "red", "object": None}
    assert exact_words("style", "A wireframe hat")["detail"] == "3d"
    assert exact_words("color", "") == {"detail": None, "object": None}


def test_a_taught_judge_is_asked_in_a_word(benchmark):
    protocol = replace(PROTOCOL, judge=Judge(), types=("default",), tasks=(4, 5))
    copies = answers_of(brackets.shows("copy_last", benchmark, brackets.copied))
    lots = drive(benchmark, protocol, copies)
    asked_of = {r.turns[0].text: r.ask.texts for r, _ in lots[-1]}
    assert set(asked_of) == {"background: ", "animal: ", "style: ", "object: "}
    assert asked_of["background: "][4] == "amusement park" and len(lots[-1]) == len(
        {(r.tags["output"], r.tags["side"]) for r, _ in lots[-1]}
    )
    records = records_of([pair for lot in lots for pair in lot])
    assert {r["rule"] for r in records if r["mode"] == "image"} == {"taught"}
    assert all(r["metrics"]["visual"] == 1 and r["metrics"]["textual"] == 0 for r in records)


def test_one_drawing_may_answer_prompts_of_several_themes(benchmark):
    """Their objects are asked for once, and each theme's record has the answer."""
    protocol = replace(PROTOCOL, judge=Judge(), types=("default",), tasks=(1, 5), modes=("image",))
    picture = image(benchmark.picture("color", "red", "bag"))
    words = {"color": "red", "object": "bag", "style": "lego"}

    def judge(request):
        texts = request.ask.texts
        values = tuple(float(text == words[request.tags["words"]]) for text in texts)
        return Reply(request.key, logprobs=values, tokens=(1,) * len(texts))

    lots = drive(benchmark, protocol, lambda r: Reply(r.key, media=picture), judge)
    assert len(lots[-1]) == 3
    for record in records_of([pair for lot in lots for pair in lot]):
        assert record["judged"]["taught"] == {"detail": words[record["theme"]], "object": "bag"}


def test_a_judge_is_asked_only_about_what_it_judges(benchmark):
    oracle = answers_of(brackets.shows("oracle", benchmark, brackets.right))
    protocol = replace(PROTOCOL, judge=Judge(forms=("numbers",)), types=("default",))
    _, about = drive(benchmark, protocol, oracle)
    assert all(isinstance(r.ask, Choices) and r.turns[0].media for r, _ in about)
    assert {r.tags["side"] for r, _ in about} == set(SIDES)
    assert all(isinstance(part, Media | str) for r, _ in about for part in r.turns[0].parts)
    assert len(pairs()) == 500 and len(samples(1, 2)) == 1000
