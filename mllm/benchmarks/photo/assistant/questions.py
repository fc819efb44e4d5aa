"""What is asked about each photograph of a person: the parts of a critique, and each topic."""

from collections.abc import Iterator

from mllm.benchmarks.photo.assistant.asking import Question
from mllm.benchmarks.photo.assistant.result import TOPIC
from mllm.benchmarks.photo.prompts import CRITIQUE, TEXT_LIMIT, topic_question
from mllm.benchmarks.photo.taxonomy import ATTRIBUTES, TOPICS
from mllm.evaluation.request import Choices, Text


def questions() -> Iterator[Question]:
    """Yield the questions: about the whole; then, topic by topic, one for the model's own words,
    and those of the benchmark, each with all answers that it can have.
    """
    ask = Text(TEXT_LIMIT)
    for part, text in CRITIQUE.items():
        yield Question(part, text, ask)
    for topic in TOPICS:
        yield Question(TOPIC, topic_question(topic), ask, topic)
        for one in ATTRIBUTES.values():
            if one.topic == topic:
                yield Question(
                    TOPIC,
                    one.questions[0],
                    Choices(one.values),
                    topic,
                    one.subtopic,
                    {value: one.statement.format(value) for value in one.values},
                    one.advice,
                )
