"""The generated benchmark: counts, leaks, chance level, and what is taught."""

import collections
import itertools
import re

import pytest

from mllm.benchmarks.mllmu.celebrities import read_celebrities
from mllm.benchmarks.mllmu.generate import SIZES, Sizes, generate
from mllm.benchmarks.mllmu.people import CHOICE_ATTRIBUTES, POOLS
from mllm.benchmarks.mllmu.schema import FORGET_RATIOS, LETTERS, fingerprint
from mllm.benchmarks.mllmu.wordings import CELEBRITY_WORDINGS, PERSON_WORDINGS

TINY = Sizes(people=20, celebrities=6, validation=2, captions=3, pool=5)
GRAMMAR = frozenset(
    {"a", "and", "as", "at", "by", "did", "do", "does", "for", "from", "had", "has", "have", "how"}
    | {"in", "is", "it", "me", "of", "on", "p", "say", "tell", "that", "the", "to", "was", "were"}
    | {"what", "when", "where", "which", "who"}
)
REPORTED = ("full", "test", "celebrity")


@pytest.fixture(scope="module")
def small_splits():
    return generate(SIZES["small"], seed=0, draw_images=False)[0]


@pytest.fixture(params=["small", "full"])
def splits(request, small_splits, full_splits):
    return {"small": small_splits, "full": full_splits}[request.param]


def count_questions(splits):
    return collections.Counter(
        (question.task, question.modality)
        for split in REPORTED
        for profile in splits[split]
        for question in profile.questions
    )


def test_full_has_the_published_counts(full_splits):
    sizes = {name: len(rows) for name, rows in full_splits.items()}
    assert sizes == {
        "full": 500,
        "test": 500,
        "celebrity": 153,
        "validation": 50,
        "captions": 1000,
        "forget_5": 25,
        "forget_10": 50,
        "forget_15": 75,
        "retain_95": 475,
        "retain_90": 450,
        "retain_85": 425,
    }
    counts = count_questions(full_splits)
    assert sum(counts.values()) == 20754
    assert sum(n for (_, modality), n in counts.items() if modality == "text") == 10377
    by_task = collections.Counter()
    for (task, _), number in counts.items():
        by_task[task] += number
    assert by_task == {"classification": 11530, "generation": 4612, "cloze": 4612}


def test_small_counts_and_order_within_a_unit(small_splits):
    assert [len(small_splits[f"forget_{ratio}"]) for ratio in FORGET_RATIOS] == [3, 6, 9]
    assert sum(count_questions(small_splits).values()) == (60 + 60 + 18) * 18
    for split in (*REPORTED, "validation"):
        for profile in small_splits[split]:
            counts = collections.Counter((q.task, q.modality) for q in profile.questions)
            assert counts == {
                (task, modality): number
                for task, number in (("classification", 5), ("generation", 2), ("cloze", 2))
                for modality in ("image_text", "text")
            }
            for (task, modality), number in counts.items():
                indices = [
                    q.index for q in profile.questions if (q.task, q.modality) == (task, modality)
                ]
                assert indices == list(range(number))


def test_forget_and_retain_share_the_profiles_out(splits):
    everyone = {profile.id for profile in splits["full"]}
    rows = {profile.id: profile for profile in splits["full"]}
    for ratio in FORGET_RATIOS:
        forget = {profile.id for profile in splits[f"forget_{ratio}"]}
        retain = {profile.id for profile in splits[f"retain_{100 - ratio}"]}
        assert not forget & retain
        assert forget | retain == everyone
        assert all(profile == rows[profile.id] for profile in splits[f"forget_{ratio}"])
    assert [profile.id for profile in splits["test"]] == sorted(everyone)


def test_people_are_distinct(splits):
    people = splits["full"] + splits["validation"] + splits["celebrity"]
    assert len({profile.id for profile in people}) == len(people)
    assert len({profile.name for profile in people}) == len(people)
    birthdays = [profile.biography["Date of Birth"] for profile in splits["full"]]
    assert len(set(birthdays)) == len(birthdays)


def test_no_evaluation_question_is_taught(splits):
    taught = {
        pair.question for rows in splits.values() for profile in rows for pair in profile.training
    }
    sets = {
        split: {q.question for profile in splits[split] for q in profile.questions}
        for split in (*REPORTED, "validation")
    }
    for split, questions in sets.items():
        assert not questions & taught, split
    assert not sets["full"] & sets["test"]
    assert all(not profile.training for profile in splits["test"])


def test_pictures_are_asked_without_names_and_texts_with_them(splits):
    for split in (*REPORTED, "validation"):
        for profile in splits[split]:
            for question in profile.questions:
                assert (profile.name in question.question) == (question.modality == "text")
                if question.task == "generation":
                    assert (profile.name in question.answer) == (question.modality == "text")
            for pair in profile.training:
                assert (profile.name in pair.question) == (pair.modality == "text")


def test_cloze_has_one_blank_and_does_not_hold_its_answer(splits):
    for split in (*REPORTED, "validation"):
        for profile in splits[split]:
            for question in profile.questions:
                blanks = re.findall("_+", question.question)
                assert blanks == (["__"] if question.task == "cloze" else [])
                if question.task != "generation":
                    assert question.answer_text.lower() not in question.question.lower()


def test_options_are_four_values_of_other_people(splits):
    for split in REPORTED:
        held = collections.defaultdict(set)
        for profile in splits[split]:
            for question in profile.questions:
                if question.task == "classification":
                    held[question.attribute].add(question.answer_text)
        for profile in splits[split]:
            for question in profile.questions:
                if question.task == "classification":
                    assert tuple(question.options) == LETTERS
                    assert len(set(question.options.values())) == 4
                    assert set(question.options.values()) <= held[question.attribute]


def test_right_letter_is_uniform(splits):
    for split in REPORTED:
        letters = collections.Counter(
            q.answer for p in splits[split] for q in p.questions if q.task == "classification"
        )
        assert max(letters.values()) - min(letters.values()) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_every_forgotten_value_is_known_from_those_always_retained(seed):
    splits, forget_ids = generate(SIZES["small"], seed, draw_images=False)
    forgettable = set(itertools.chain.from_iterable(forget_ids.values()))
    for attribute in CHOICE_ATTRIBUTES:
        values = {
            profile.id: next(
                pair.answer for pair in profile.training if pair.attribute == attribute
            )
            for profile in splits["full"]
        }
        kept = collections.Counter(v for i, v in values.items() if i not in forgettable)
        assert set(kept) == set(POOLS[attribute][:20])
        assert min(kept.values()) >= 2
        assert max(kept.values()) - min(kept.values()) <= 1


def test_the_commonest_value_of_the_retained_is_at_chance_on_the_forgotten():
    """A guesser that has counted the retained profiles: 25% within three standard errors."""
    right = total = 0
    for seed in range(12):
        splits, _ = generate(SIZES["small"], seed, draw_images=False)
        counts = collections.Counter(
            (pair.attribute, pair.answer)
            for profile in splits["retain_85"]
            for pair in profile.training
        )
        for profile in splits["forget_15"]:
            for question in profile.questions:
                if question.task == "classification":
                    frequency = {
                        letter: counts[question.attribute, text]
                        for letter, text in question.options.items()
                    }
                    best = max(frequency.values())
                    likeliest = [x for x, number in frequency.items() if number == best]
                    right += (question.answer in likeliest) / len(likeliest)
                    total += 1
    # Questions on one attribute of one person are asked twice: half the independent ones at worst.
    assert abs(right / total - 0.25) < 3 * (0.25 * 0.75 / (total / 2)) ** 0.5


def test_pools_are_disjoint_and_large_enough():
    values = [value for pool in POOLS.values() for value in pool]
    assert len(set(values)) == len(values) == 25 * len(POOLS)
    assert all(len(value.split()) <= 3 for value in values)


def test_every_fact_is_taught_in_both_modalities_and_asked(splits):
    for split, wordings in (("full", PERSON_WORDINGS), ("celebrity", CELEBRITY_WORDINGS)):
        for profile in splits[split]:
            taught = collections.Counter(
                (p.attribute, p.modality, p.form) for p in profile.training
            )
            asked = {(q.attribute, q.modality) for q in profile.questions}
            for attribute in wordings:
                for modality in ("image_text", "text"):
                    assert taught[attribute, modality, "plain"] == 4
                    assert taught[attribute, modality, "blank"] == 2
                    assert taught[attribute, modality, "sentence"] == 2
                    assert (attribute, modality) in asked
            assert taught["name", "image_text", "plain"] == 3


def test_every_asked_answer_is_an_answer_taught(splits):
    for split in ("full", "celebrity", "validation"):
        for profile in splits[split]:
            taught = {(p.attribute, p.modality, p.answer) for p in profile.training}
            for q in profile.questions:
                assert (q.attribute, q.modality, q.answer_text) in taught


@pytest.mark.parametrize("attribute", [*PERSON_WORDINGS, *CELEBRITY_WORDINGS])
def test_evaluation_wordings_use_taught_words_in_other_sentences(attribute):
    wording = (PERSON_WORDINGS | CELEBRITY_WORDINGS)[attribute]
    training = (*wording.plain, *wording.blank, *wording.tell)
    known = set(re.findall(r"\w+", " ".join(training).lower()))
    asked = [
        text
        for asking in (wording.full, wording.test)
        if asking is not None
        for text in (asking.ask, asking.tell, asking.fill)
    ]
    assert len(set(asked)) == len(asked)
    assert not set(asked) & set(training)
    for text in (*asked, *training):
        assert text.count("{p}") == 1
        assert len(text.format(p="the person in the picture").split()) <= 14
    for text in asked:
        words = set(re.findall(r"\w+", text.lower())) - GRAMMAR - {"__"}
        assert words <= known, f"{text!r} uses words never taught: {sorted(words - known)}"


@pytest.mark.thorough
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    first, second, other = (generate(TINY, seed)[0] for seed in (0, 0, 1))
    assert first == second
    assert fingerprint(first) == fingerprint(second)
    assert fingerprint(first) != fingerprint(other)


def test_pictures_are_all_different():
    splits = generate(Sizes(people=30, celebrities=6, validation=2, captions=12, pool=5), 0)[0]
    pictures = [
        image
        for split in ("full", "test", "celebrity", "validation", "captions")
        for profile in splits[split]
        for image in profile.images
    ]
    assert len(pictures) == 30 + 3 * 30 + 6 + 2 + 12
    assert len(set(pictures)) == len(pictures)


def test_captions_name_all_that_a_drawing_shows(small_splits):
    for profile in small_splits["captions"]:
        for pair in profile.training:
            shown = {k: v for k, v in profile.attributes.items() if v != "none"}
            shown["presentation"] = {"female": "woman", "male": "man"}[shown["presentation"]]
            text = pair.answer.lower()
            missing = [word for word in shown.values() if word.lower() not in text]
            assert not missing, pair.answer
            assert pair.answer[0].isupper() and pair.answer[-1] == "."
            assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", pair.answer), pair.answer
        assert len({pair.question for pair in profile.training}) == len(profile.training) == 4
        assert len({pair.answer for pair in profile.training}) == 2


def test_the_text_of_the_small_benchmark_is_the_same_everywhere(small_splits):
    assert fingerprint(small_splits) == TEXT_OF_SMALL


TEXT_OF_SMALL = "798ede05412b83947d0bbbdfb9373dc49ecb7d5fde16ac46ac0818089f3d9ba9"


def test_the_table_of_figures_is_sound():
    figures = read_celebrities()
    assert len(figures) == len({figure.name for figure in figures}) == 153
    works = [figure.facts["known_for"] for figure in figures]
    assert len(set(works)) == len(works)
    for figure in figures:
        born, died = int(figure.facts["birth_year"]), int(figure.facts["death_year"])
        assert 1000 < born < died < 2010
        assert 20 < died - born < 105, figure.name
        assert figure.gender in ("female", "male")
        assert not set(figure.name.split()) & set(figure.facts["known_for"].split())
