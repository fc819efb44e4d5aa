"""What is asked about users, round by round, of models that are invented here."""

from dataclasses import replace

import pytest

from mllm.benchmarks.msr import brackets
from mllm.benchmarks.msr.preference import Preferences, State, in_common, template
from mllm.benchmarks.msr.prompts import Prompts
from mllm.benchmarks.msr.protocol import ASK, Protocol, records_of, rounds
from mllm.benchmarks.msr.reading import Reading, replayed
from mllm.benchmarks.msr.retrieval import Retrieval
from mllm.benchmarks.msr.rows import Item
from mllm.benchmarks.msr.summaries import Summaries, cut
from mllm.benchmarks.msr.taught import (
    Blocks,
    Comparisons,
    Decisions,
    Invented,
    Summarised,
    decisions,
    of_users,
)
from mllm.benchmarks.msr.wording import BRIEF
from mllm.evaluation.kept_answers import answers_to
from mllm.evaluation.request import Reply
from mllm.evaluation.yes_no import log_odds, shared

VALUES = dict(subject="cat", colour="red", pattern="dots", genre="music")
ITEMS = [Item(str(n), f"Title {n}", attributes=VALUES) for n in range(1, 8)]
SUMMARIES = {item.id: f"summary {item.id}" for item in ITEMS}
PROMPTS = Prompts(wording=BRIEF)
READING = Reading(PROMPTS, Summaries(tokens=8), Preferences(tokens=8))


class Scribe:
    """Answers with the number of the question and what it is about."""

    identity = {"name": "scribe"}  # noqa: RUF012

    def __init__(self):
        self.asked = []

    def answer(self, requests, done):
        for request in requests:
            self.asked.append(request)
            tags = request.tags
            said = f"<{tags.get('item') or tags['user']}/{tags.get('block', 0)}>"
            yield [Reply(request.key, said, extra={"prompt_tokens": 5, "reply_tokens": 2})]


def run(generator, scribe):
    """What rounds return when a scribe answers."""
    try:
        requests = next(generator)
        while True:
            found = {r.key: r for lot in scribe.answer(requests, set()) for r in lot}
            requests = generator.send([found[request.key] for request in requests])
    except StopIteration as stop:
        return stop.value


def said(request) -> str:
    return "".join(part for part in request.turns[0].parts if isinstance(part, str))


def test_seven_items_in_blocks_of_three_make_three_calls_that_hold_the_answer_before():
    scribe = Scribe()
    states = run(Preferences().written({"5": ITEMS}, SUMMARIES, PROMPTS), scribe)
    assert [request.tags["items"] for request in scribe.asked] == [
        ["1", "2", "3"], ["4", "5", "6"], ["7"],
    ]  # fmt: skip
    first, second, third = map(said, scribe.asked)
    assert "Before" not in first
    assert "Before: <5/1>\n" in second and "Before: <5/2>\n" in third
    assert "1. Title 7: summary 7.\n" in third and "Title 6" not in third  # numbers begin again
    assert states["5"].text == "<5/3>"
    assert [entry["text"] for entry in states["5"].trace] == ["<5/1>", "<5/2>", "<5/3>"]


def test_a_new_block_costs_one_call_and_comes_to_what_all_at_once_does():
    whole = run(Preferences().written({"5": ITEMS}, SUMMARIES, PROMPTS), Scribe())
    first = run(Preferences().written({"5": ITEMS[:3]}, SUMMARIES, PROMPTS), Scribe())
    scribe = Scribe()
    later = Preferences().written({"5": ITEMS[3:6]}, SUMMARIES, PROMPTS, begin=first)
    grown = run(later, scribe)
    assert len(scribe.asked) == 1
    ended = run(Preferences().written({"5": ITEMS[6:]}, SUMMARIES, PROMPTS, begin=grown), Scribe())
    assert ended == whole


def test_the_same_block_of_all_users_is_asked_together():
    generator = Preferences().written({"5": ITEMS, "6": ITEMS[:2]}, SUMMARIES, PROMPTS)
    assert [request.cluster for request in next(generator)] == ["5", "6"]


def test_the_direct_variant_asks_once_and_without_a_history_nothing_is_asked():
    scribe = Scribe()
    run(Preferences(form="direct").written({"5": ITEMS}, SUMMARIES, PROMPTS), scribe)
    assert len(scribe.asked) == 1 and said(scribe.asked[0]).count("Title") == 7
    for chosen, history in ((Preferences(), []), (Preferences(form="none"), ITEMS)):
        states = run(chosen.written({"5": history}, SUMMARIES, PROMPTS), scribe)
        assert states == {"5": State()}
    assert len(scribe.asked) == 1


def test_a_long_answer_is_cut_and_told_and_no_answer_leaves_what_was():
    assert cut("One. Two. Three.", 12) == ("One. Two.", True)
    assert cut("no stops in here", 8) == ("no", True) and cut("abcdef", 3) == ("abc", True)
    assert cut(" short ", 12) == ("short", False)
    chosen = Preferences(longest=12)
    state = chosen.after(State(), ITEMS[:1], Reply("k", "One. Two. Three."))
    assert state.text == "One. Two." and state.trace[0]["cut"]
    same = chosen.after(state, ITEMS[1:2], Reply("k", None, state="error"))
    assert same.text == "One. Two." and same.trace[1]["state"] == "error"


def test_a_sampled_preference_is_sampled_with_its_seed():
    generator = Preferences(temperature=0.6, top_p=0.9, seed=3).written(
        {"5": ITEMS}, SUMMARIES, PROMPTS
    )
    ask = next(generator)[0].ask
    assert (ask.temperature, ask.top_p, ask.seed) == (0.6, 0.9, 3)


def likes(*values: str) -> Item:
    return Item("1", "T", attributes=dict(zip(VALUES, values, strict=True)))


def test_a_template_names_what_comes_most_and_remembers_what_it_named_before():
    cat, dog = likes("cat", "red", "dots", "music"), likes("dog", "red", "plain", "music")
    first = template([cat, dog, dog], None, "Likes")
    assert first == "Likes dog, cat; red; plain, dots; music."
    # A value that was named first counts 1.5 and is worth more than one of a single item.
    assert template([likes("fish", "blue", "dots", "music")], first, "Likes") == (
        "Likes dog, fish; red, blue; dots, plain; music."
    )


def test_a_template_needs_attributes():
    with pytest.raises(ValueError, match=r"item '9' .* set config\.preferences\.writer to 'model'"):
        template([Item("9", "T")], None, "Likes")


@pytest.mark.parametrize("kind, calls", [("template", 0), ("text", 1), ("fused", 3)])
def test_summaries_are_asked_by_kind(kind, calls):
    scribe = Scribe()
    items = [replace(item, picture=item.id.encode()) for item in ITEMS]
    found = run(Summaries(kind=kind).written(items, PROMPTS), scribe)
    assert len(scribe.asked) == 7 * calls
    assert found["1"] == ("a cat on red dots" if kind == "template" else "<1/0>")
    if kind == "fused":
        assert said(scribe.asked[-1]) == "<7/0> <7/0> In short:"


@pytest.fixture(scope="module")
def answered(msr_micro):
    """All requests about the micro data with the scribe's replies; yes to what is warm."""

    class Subject:
        identity = {"name": "subject"}  # noqa: RUF012

        def answer(self, requests, done):
            for request in requests:
                score = float(msr_micro.popularity[request.tags["item"]])
                yield [Reply(request.key, logprobs=shared(ASK.texts, score))]

    scribe = Scribe()
    models = {"summariser": scribe, "subject": Subject(), "counter": Subject()}
    found = answers_to(rounds(msr_micro, Protocol(reading=READING)), models)
    return found, models


def test_the_target_is_in_no_prompt_but_those_about_it(msr_micro, answered):
    users = {user.id: user for user in msr_micro.users("test")}
    parts = {"summary": 0, "preference": 0, "candidate": 0}
    for request, _ in answered[0]:
        tags = request.tags
        parts[tags["part"]] += 1
        if tags["part"] == "preference":
            user = users[tags["user"]]
            assert user.target not in tags["items"]
            assert set(tags["items"]) <= set(user.history)
        elif tags["part"] == "candidate":
            assert (tags["label"] == "1") == (tags["item"] == users[tags["user"]].target)
    blocks = sum(-(-len(user.history) // 3) for user in users.values())
    assert parts == {"summary": 40, "preference": blocks, "candidate": 21 * 12}


def test_records_are_of_candidates_and_show_how_preferences_came_to_be(msr_micro, answered):
    records = records_of(answered[0])
    assert len(records) == 21 * 12
    targets = [record for record in records if record["label"] == "1"]
    assert len(targets) == 12 and not any("trace" in r for r in records if r not in targets)
    for record in targets:
        user = next(u for u in msr_micro.users("test") if u.id == record["user"])
        read = [id for entry in record["trace"] for id in entry["items"]]
        assert tuple(read) == user.history
        assert record["trace"][-1]["tokens"] == [5, 2]


def test_a_retriever_chooses_among_all_items_and_gains_nothing_by_a_target_it_missed(
    msr_micro, answered
):
    protocol = Protocol(reading=Reading(PROMPTS, preferences=Preferences(form="none")),
                        retrieval=Retrieval("counter", top=5))  # fmt: skip
    assert protocol.models == ("counter",)
    records = records_of(answers_to(rounds(msr_micro, protocol), answered[1]))
    users = {user.id: user for user in msr_micro.users("test")}
    assert len(records) == 5 * 12
    missed = 0
    for id, user in users.items():
        mine = {r["item"]: r for r in records if r["user"] == id}
        left = [i for i in msr_micro.item_ids if i not in user.history]
        best = sorted(left, key=lambda i: (-msr_micro.popularity[i], i))[:5]
        if user.target in best:
            assert set(mine) == set(best)
        else:
            missed += 1
            assert set(mine) == {*best[:-1], user.target}
            lowest = min(record["score"] for record in records if not record.get("missed"))
            assert mine[user.target]["missed"] and mine[user.target]["score"] < lowest
    assert missed


def test_what_is_taught_are_choices_of_users_to_train_on(msr_micro):
    users = list(msr_micro.users("train"))
    asked = answers_to(READING.written(msr_micro, users), {"summariser": Scribe()})
    published = decisions(msr_micro, READING, asked, negatives=1, ahead=0, seed=0)
    assert len(published) == 2 * len(users)
    states = replayed(READING.written(msr_micro, users), {r.key: reply for r, reply in asked})
    for user, (yes, no) in zip(users, zip(published[::2], published[1::2], strict=True),
                               strict=True):  # fmt: skip
        assert (yes.item, no.item) == (user.target, user.negatives[0])
        assert yes.preference == no.preference == states.states[user.id].text
    many = decisions(msr_micro, READING, asked, negatives=3, ahead=2, seed=0)
    for one in many:
        user = one.user
        taken = user.history[one.seen : one.seen + 2] or (user.target,)
        assert (one.item in taken) == one.taken
        assert one.taken or one.item not in (*user.history, user.target)
    assert sum(one.taken for one in many) * 4 == len(many)
    assert len({one.user.id for one in of_users(many, 5, 0)}) == 5
    example = Decisions(msr_micro, PROMPTS, many)[1]
    assert example.turns[-1].text == "Yes" and example.cluster == many[1].user.id
    titles = Decisions(msr_micro, PROMPTS, many, titles=True)[0]
    assert not titles.turns[0].media and many[0].preference not in titles.turns[0].text


def test_the_summariser_is_taught_templates(msr_micro):
    shown = Summarised(msr_micro.gallery, READING)
    assert len(shown) == 20 and shown[3].turns[1].text.startswith("a ")
    assert shown[3].turns[0].media
    invented = Invented(msr_micro.gallery, READING)
    blocks = Blocks(invented, size=30, seed=1)
    found = [blocks[number] for number in range(30)]
    assert found[4] == blocks[4]
    later = [example for example in found if "Before: Likes " in example.turns[0].text]
    assert 5 < len(later) < 30
    assert all(example.turns[1].text.startswith("Likes ") for example in found)


def test_what_a_preference_and_an_item_have_in_common_is_taught(msr_micro):
    likes_cats = "Likes cat, dog; red; plain, dots; music."
    assert in_common(likes_cats, likes("dog", "blue", "dots", "music"), "Likes") == (
        "3: dog, -, dots, music"
    )
    compared = Comparisons(Invented(msr_micro.gallery, READING), size=40, seed=1)
    found = [compared[number] for number in range(40)]
    before = [example.turns[0].parts[0] for example in found]
    assert len(set(before)) == 5 and all(example.turns[0].media for example in found)
    said = [example.turns[1].text.split(": ")[1].split(", ") for example in found]
    named = sum(value != "-" for values in said for value in values)
    assert all(len(values) == 4 for values in said) and 30 < named < 130


def test_brackets_score_as_they_must(msr_micro, answered):
    requests = [request for request, _ in answered[0] if request.tags["part"] == "candidate"]

    def scores(answerer):
        (replies,) = answerer.answer(requests, set())
        return [log_odds(ASK.texts, reply.logprobs) for reply in replies]

    for request, score in zip(requests, scores(brackets.oracle()), strict=True):
        assert (score > 0) == (request.tags["label"] == "1")
    assert set(scores(brackets.constant())) == {0.0}
    assert scores(brackets.guessing(1)) == scores(brackets.guessing(1))
    assert scores(brackets.guessing(1)) != scores(brackets.guessing(2))
    users = {user.id: user for user in msr_micro.users("test")}
    for request, score in zip(requests, scores(brackets.bayes(msr_micro)), strict=True):
        truth = msr_micro.truth(users[request.tags["user"]])
        assert score == pytest.approx(truth[request.tags["item"]])
