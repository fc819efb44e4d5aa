"""From facts to questions: the 18 of each unit, and the pairs that teach them."""

import random
from collections.abc import Collection, Iterator, Mapping, Sequence

from mllm.benchmarks.mllmu.schema import LETTERS, MODALITIES, TASKS, Question, TrainingPair
from mllm.benchmarks.mllmu.wordings import (
    IMAGE_REFERENT,
    IMAGE_SUBJECT,
    IMAGE_TRAINING_REFERENTS,
    NAME_PAIRS,
    Asking,
    Wording,
)

CHOICE_QUESTIONS = 5  # per modality
OPEN_QUESTIONS = 2  # per modality, of generation and of cloze each
OPEN_ONLY = ("date_of_birth",)  # nearly unique values: another person's would be no real choice


def evaluation_questions(
    people: Sequence[tuple[str, str, Mapping[str, str]]],
    wordings: Mapping[str, Wording],
    pools: Mapping[str, Collection[str]],
    variant: str,
    seed: int,
) -> dict[str, tuple[Question, ...]]:
    """Return the 18 questions of each person.

    Both variants ask the same attributes in the same form. Options are drawn for each variant: the
    right one and three of the other values, uniformly; each letter is right equally often.

    Args:
        people: (id, name, facts) of each.
        wordings: of each attribute.
        pools: values in use of each multiple-choice attribute.
        variant: "full" or "test".
        seed: of the benchmark.

    Returns:
        ID -> questions, ordered by task, then modality, then index.
    """
    letters = _letters(len(people) * 2 * CHOICE_QUESTIONS, seed, f"{variant}/{people[0][0]}")
    result = {}
    for profile, name, facts in people:
        asked = random.Random(f"{seed}/asked/{profile}")
        options = random.Random(f"{seed}/options/{variant}/{profile}")
        questions = []
        for modality in MODALITIES:
            person = IMAGE_REFERENT[variant] if modality == "image_text" else name
            subject = IMAGE_SUBJECT if modality == "image_text" else name
            shared_out = assign_attributes(tuple(wordings), asked)
            for task, attributes in zip(TASKS, shared_out, strict=True):
                for index, attribute in enumerate(attributes):
                    wording, value = wordings[attribute], facts[attribute]
                    asking = _asking(wording, variant)
                    choices = None
                    if task == "classification":
                        template, answer = asking.ask, next(letters)
                        choices = _draw_options(value, pools[attribute], answer, options)
                    elif task == "generation":
                        template = asking.tell
                        answer = fill_in(wording.sentence, subject, value)
                    else:
                        template, answer = asking.fill, value
                    text = fill_in(template, person)
                    questions.append(
                        Question(profile, task, modality, index, text, choices, answer, attribute)
                    )
        result[profile] = tuple(sorted(questions, key=lambda item: TASKS.index(item.task)))
    return result


def assign_attributes(
    attributes: Sequence[str], generator: random.Random
) -> tuple[list[str], list[str], list[str]]:
    """Assign attributes to 5 choice, 2 generation and 2 cloze questions of one modality.

    Every attribute is asked at least once.
    """
    choosable = [attribute for attribute in attributes if attribute not in OPEN_ONLY]
    open_only = [attribute for attribute in attributes if attribute in OPEN_ONLY]
    generator.shuffle(choosable)
    opened = open_only + choosable[: 2 * OPEN_QUESTIONS - len(open_only)]
    generator.shuffle(opened)
    return choosable[-CHOICE_QUESTIONS:], opened[:OPEN_QUESTIONS], opened[OPEN_QUESTIONS:]


def training_pairs(
    name: str, facts: Mapping[str, str], wordings: Mapping[str, Wording]
) -> tuple[TrainingPair, ...]:
    """Return the pairs that teach each fact in both modalities, and the name by the picture."""
    pairs = []
    for modality in MODALITIES:
        for attribute, wording in wordings.items():
            value = facts[attribute]
            subject = IMAGE_SUBJECT if modality == "image_text" else name
            sentence = fill_in(wording.sentence, subject, value)
            for form, templates, answer in (
                ("plain", wording.plain, value),
                ("blank", wording.blank, value),
                ("sentence", wording.tell, sentence),
            ):
                for number, template in enumerate(templates):
                    person = name
                    if modality == "image_text":
                        person = IMAGE_TRAINING_REFERENTS[number % len(IMAGE_TRAINING_REFERENTS)]
                    question = fill_in(template, person)
                    pairs.append(TrainingPair(question, answer, modality, attribute, form))
    for form, question, answer in NAME_PAIRS:
        pairs.append(TrainingPair(question, answer.format(v=name), "image_text", "name", form))
    return tuple(pairs)


def fill_in(template: str, person: str, value: str = "") -> str:
    """Return the template with person and value, its first letter a capital."""
    text = template.format(p=person, v=value)
    return text[0].upper() + text[1:]


def _asking(wording: Wording, variant: str) -> Asking:
    asking = getattr(wording, variant)
    if asking is None:
        raise ValueError(f"no wordings of variant {variant!r} for {wording.plain[0]!r}")
    return asking


def _letters(count: int, seed: int, purpose: str) -> Iterator[str]:
    """Yield letters in random order, with counts that differ by at most one."""
    letters = [LETTERS[number % 4] for number in range(count)]
    random.Random(f"{seed}/letters/{purpose}").shuffle(letters)
    return iter(letters)


def _draw_options(
    value: str, pool: Collection[str], letter: str, generator: random.Random
) -> dict[str, str]:
    """Return four options with the value at the letter and others of the pool elsewhere."""
    texts = generator.sample(sorted(set(pool) - {value}), len(LETTERS) - 1)
    texts.insert(LETTERS.index(letter), value)
    return dict(zip(LETTERS, texts, strict=True))
