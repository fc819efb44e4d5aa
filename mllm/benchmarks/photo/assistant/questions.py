"""What is asked about each photograph of a person: the parts of a critique, and each topic."""

from collections.abc import Iterator

from mllm.benchmarks.photo.assistant.asking import Question
from mllm.benchmarks.photo.assistant.result import TOPIC
from mllm.benchmarks.photo.prompts import CRITIQUE, TEXT_LIMIT, topic_question
from mllm.benchmarks.photo.taxonomy import ATTRIBUTES, TOPICS
from mllm.evaluation.request import Choices, Text

# Their questions presume something that a photograph need not have, such as toning or a blur, and
# no answer says that it is not there.
PRESUMING = (
    "coordination",
    "film",
    "hue",
    "leading_lines",
    "light_adjustment",
    "light_colour",
    "light_setup",
    "line_direction",
    "motion_direction",
    "perspective",
    "planes",
    "retouching",
    "smooth_water",
    "star_trails",
    "viewpoint",
    "warm_cool",
)


def questions() -> Iterator[Question]:
    """Yield the questions: about the whole; then, topic by topic, one for the model's own words,
    and those of the benchmark that any photograph answers, each with all its answers.
    """
    ask = Text(TEXT_LIMIT)
    for part, text in CRITIQUE.items():
        yield Question(part, text, ask)
    for topic in TOPICS:
        yield Question(TOPIC, topic_question(topic), ask, topic)
        for one in ATTRIBUTES.values():
            if one.topic == topic and one.name not in PRESUMING:
                yield Question(
                    TOPIC,
                    one.questions[0],
                    Choices(one.values),
                    topic,
                    one.subtopic,
                    {value: one.statement.format(value) for value in one.values},
                    one.advice,
                )
