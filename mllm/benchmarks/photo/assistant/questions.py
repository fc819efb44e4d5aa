"""What is asked about each photograph of a person: the parts of a critique, and each topic."""

from collections.abc import Iterator
from pathlib import Path

from mllm.benchmarks.photo.assistant.asking import Question
from mllm.benchmarks.photo.assistant.result import TOPIC
from mllm.benchmarks.photo.generate import SIZES
from mllm.benchmarks.photo.prompts import CRITIQUE, TEXT_LIMIT, topic_question
from mllm.benchmarks.photo.taxonomy import ATTRIBUTES, TOPICS
from mllm.checkpoints.record import RUN
from mllm.evaluation.request import Choices, Text
from mllm.files import read_run

NAME = "photo"  # of this benchmark in configurations

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


def untaught(checkpoint: Path) -> frozenset[str]:
    """Return the operations that a run never met, because its data leave them out; none are known
    of other models.

    Raises:
      ValueError: the record of the run was changed.
    """
    if not (checkpoint / RUN).is_file():
        return frozenset()
    section = read_run(checkpoint / RUN)["config"]["benchmark"]
    sizes = SIZES.get(section["config"]) if section["name"] == NAME else None
    return frozenset() if sizes is None else frozenset(sizes.left_out)


def questions(untaught: frozenset[str] = frozenset()) -> Iterator[Question]:
    """Yield the questions: about the whole; then, topic by topic, one for the model's own words,
    and those of the benchmark that any photograph answers, each with all its answers.

    Args:
      untaught: operations that are not asked about.
    """
    ask = Text(TEXT_LIMIT)
    for part, text in CRITIQUE.items():
        yield Question(part, text, ask)
    for topic in TOPICS:
        yield Question(TOPIC, topic_question(topic), ask, topic)
        for one in ATTRIBUTES.values():
            left_out = one.name in PRESUMING or one.operation in untaught
            if one.topic == topic and not left_out:
                yield Question(
                    TOPIC,
                    one.questions[0],
                    Choices(one.values),
                    topic,
                    one.subtopic,
                    {value: one.statement.format(value) for value in one.values},
                    one.advice,
                )
