"""What is said of a picture: questions, a critique and a conversation, all from its record."""

from collections.abc import Mapping

import numpy as np

from mllm.benchmarks.photo.attributes import ATTRIBUTES
from mllm.benchmarks.photo.draw import KINDS
from mllm.benchmarks.photo.photographs import about
from mllm.benchmarks.photo.plan import Plan
from mllm.benchmarks.photo.row import Critique, Question
from mllm.benchmarks.photo.taxonomy import TOPICS

DESCRIBE = (
    "Please provide a comprehensive evaluation of the aesthetics of this photo.",
    "Describe this photo as a photographer sees it.",
)
WEAKNESSES = ("What are the weaknesses of this photo?", "What is wrong with this photo?")
IMPROVE = ("How can this photo be improved?", "What would you change in this photo?")
ABOUT = "What do you say about the topic {}?"
NO_FAULT, NO_ADVICE = "It has no weakness.", "Leave it as it is."


def title_of(plan: Plan) -> str:
    """Return what a picture shows, such as "a boat at sea"."""
    source = plan.source
    if source.kind == "photograph":
        return about(source.name).title
    return KINDS[source.kind].title


def facts_of(plan: Plan) -> dict[str, str]:
    """Return the value of each attribute that the settings key, in the order of `ATTRIBUTES`."""
    return {
        name: one.value(plan.settings[one.operation])
        for name, one in ATTRIBUTES.items()
        if one.operation in plan.settings
    }


def questions_of(plan: Plan) -> tuple[Question, ...]:
    """Return the questions about a picture."""
    return tuple(
        Question(
            f"{plan.id}-{asked.attribute}",
            ATTRIBUTES[asked.attribute].topic,
            ATTRIBUTES[asked.attribute].subtopic,
            asked.attribute,
            ATTRIBUTES[asked.attribute].questions[asked.wording],
            asked.options,
            asked.key,
        )
        for asked in plan.asked
    )


def statement(name: str, value: str) -> str:
    """Return a sentence that says the value of an attribute."""
    return ATTRIBUTES[name].statement.format(value)


def critique_of(plan: Plan) -> Critique:
    """Return what a critic says of a picture: one statement for each of its operations."""
    facts = facts_of(plan)
    said = _once_an_operation(facts, {asked.attribute for asked in plan.asked})
    sentences = {name: statement(name, value) for name, value in said.items()}
    faults = {name: value for name, value in said.items() if value in ATTRIBUTES[name].advice}
    advice = dict.fromkeys(ATTRIBUTES[name].advice[value] for name, value in faults.items())
    statements = {
        topic: tuple(sentences[name] for name in sentences if ATTRIBUTES[name].topic == topic)
        for topic in TOPICS
    }
    return Critique(
        " ".join([f"A photo of {title_of(plan)}.", *sentences.values()]),
        " ".join(sentences[name] for name in faults) or NO_FAULT,
        " ".join(advice) or NO_ADVICE,
        {topic: found for topic, found in statements.items() if found},
    )


def _once_an_operation(facts: Mapping[str, str], asked: set[str]) -> dict[str, str]:
    """Return one attribute for each operation, one that is asked where there is one."""
    first: dict[str, str] = {}
    for name in sorted(facts, key=lambda name: name not in asked):
        first.setdefault(ATTRIBUTES[name].operation, name)
    return {name: value for name, value in facts.items() if name in first.values()}


def conversation_of(critique: Critique, rng: np.random.Generator) -> tuple[tuple[str, str], ...]:
    """Return a conversation about a picture: description, weaknesses, advice, one topic."""
    topic = list(critique.statements)[int(rng.integers(len(critique.statements)))]
    said = (
        (DESCRIBE[int(rng.integers(len(DESCRIBE)))], critique.description),
        (WEAKNESSES[int(rng.integers(len(WEAKNESSES)))], critique.weaknesses),
        (IMPROVE[int(rng.integers(len(IMPROVE)))], critique.advice),
        (ABOUT.format(topic), " ".join(critique.statements[topic])),
    )
    return tuple(
        turn for question, answer in said for turn in (("user", question), ("assistant", answer))
    )
