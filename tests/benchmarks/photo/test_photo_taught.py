"""What models learn from: right answers alone, in all orders of the options."""

from collections import Counter

import pytest
from toy_photos import toy_photo

from mllm.benchmarks.photo.prompts import CRITIQUE, LETTERS, LOOK, topic_question
from mllm.benchmarks.photo.taught import Asked, Conversed, Described, Looked

PHOTOS = [toy_photo(number, "train") for number in range(60)]


def test_each_question_is_taught_by_text_and_by_letter_with_its_key():
    found = [*Asked(PHOTOS, "text"), *Asked(PHOTOS, "letter")]
    assert len(found) == 60 * 2 * 2
    assert len({example.id for example in found}) == len(found)
    questions = {q.id: (photo, q) for photo in PHOTOS for q in photo.questions}
    letters = Counter()
    for example in found:
        id, form = example.id.rsplit("/", 1)
        photo, question = questions[id]
        asked, said = example.turns
        right = question.options[question.key]
        assert asked.media[0].data == photo.picture and example.cluster == photo.source
        if form == "text":
            assert (asked.text, said.text) == (question.question, right)
        else:
            assert f"{said.text}. {right}\n" in asked.text
            letters[said.text] += 1
    assert set(letters) == set(LETTERS) and min(letters.values()) > 15


@pytest.mark.parametrize("repeats", [1, 3])
def test_looks_ask_all_questions_below_one_instruction(repeats):
    found = Looked(PHOTOS, repeats, seed=1)
    assert len(found) == 60 * repeats
    orders = set()
    for number, example in enumerate(found):
        photo = PHOTOS[number % 60]
        first, *rest = example.turns
        assert first.text == LOOK and first.media[0].data == photo.picture
        said = {q.question: q.options[q.key] for q in photo.questions}
        asked, answers = rest[::2], rest[1::2]
        assert [said[turn.text] for turn in asked] == [turn.text for turn in answers]
        assert {turn.role for turn in answers} == {"assistant"}
        orders.add(tuple(turn.text for turn in asked))
    assert len(orders) == 2
    first = [example.turns for example in Looked(PHOTOS, 2, each=1)]
    assert {len(turns) for turns in first} == {3}
    assert {turns[1].text for turns in first} == {q.question for q in PHOTOS[0].questions}


def test_critiques_are_taught_part_by_part_and_topic_by_topic():
    photo = PHOTOS[0]
    found = {example.turns[0].text: example.turns[1].text for example in Described([photo])}
    expected = {CRITIQUE[part]: getattr(photo.critique, part) for part in CRITIQUE}
    for topic, statements in photo.critique.statements.items():
        expected[topic_question(topic)] = " ".join(statements)
    assert found == expected


def test_conversations_show_the_photograph_in_their_first_turn():
    (example,) = Conversed(PHOTOS[:1])
    assert [turn.role for turn in example.turns] == ["user", "assistant"] * 2
    assert example.turns[0].media[0].data == PHOTOS[0].picture
    assert example.turns[0].text == PHOTOS[0].conversation[0][1]
    assert not any(turn.media for turn in example.turns[1:])
