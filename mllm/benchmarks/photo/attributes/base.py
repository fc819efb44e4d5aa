"""What an attribute is: something that can be asked about a picture, read off one operation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mllm.benchmarks.photo.operations import OPERATIONS


@dataclass(frozen=True)
class Attribute:
    """Something to ask about a picture. Its value follows from the setting of one operation.

    Attributes:
      name: of the attribute.
      topic, subtopic: where PhotoBench files questions of this kind.
      operation: whose setting is the key.
      values: what can be answered, in the order of the operation's settings.
      questions: wordings of the question.
      statement: a sentence with "{}" for the value.
      advice: by value: what a critic would change; a value without advice is no weakness.
    """

    name: str
    topic: str
    subtopic: str
    operation: str
    values: tuple[str, ...]
    questions: tuple[str, ...]
    statement: str
    advice: dict[str, str] = field(default_factory=dict)

    def value(self, setting: str) -> str:
        """Return the value that a setting of the operation gives."""
        return self.values[list(OPERATIONS[self.operation].settings).index(setting)]


def topic(name: str) -> Callable[..., Attribute]:
    """Return a function that makes attributes of a topic.

    Its arguments are the attribute's name, sub-topic and operation, its values and questions, its
    statement, and advice for each value ("" for none); advice may be left out.
    """

    def attribute(
        attribute_name: str,
        subtopic: str,
        operation: str,
        values: Sequence[str],
        questions: Sequence[str],
        statement: str,
        advice: Sequence[str] = (),
    ) -> Attribute:
        return Attribute(
            attribute_name,
            name,
            subtopic,
            operation,
            tuple(values),
            tuple(questions),
            statement,
            {value: text for value, text in zip(values, advice, strict=bool(advice)) if text},
        )

    return attribute
