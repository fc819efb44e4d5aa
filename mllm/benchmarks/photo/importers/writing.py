"""What a text model is asked about comments, and reading what it writes.

The steps are those of PhotoCritique: comments are summarised to one critique, critiques are
filtered, and those that pass become conversations and questions. The writer sees no photograph.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mllm.benchmarks.photo.prompts import rotated, with_options
from mllm.benchmarks.photo.row import Question
from mllm.benchmarks.photo.taxonomy import TOPICS
from mllm.data.conversation import system, user
from mllm.evaluation.request import Request, Text, content_key

SYSTEM = "You edit comments on photographs. Use only what the comments say."
SUMMARISE = (
    "Analyze and summarize these comments on one photograph into one professional critique of at "
    "most 120 words. Keep only statements about the photograph itself: its colors, composition, "
    "light, exposure, focus, technique and mood. Drop greetings, scores and talk of contests. If "
    "nothing is left, answer NONE.\n\nComments:\n{comments}"
)
FILTER = (
    "Does the critique meet quality standards? It must speak about the photograph itself, name at "
    "least one property that can be seen, and be written in whole sentences. Answer Yes or No.\n\n"
    "Critique:\n{critique}"
)
PARTS = ("Description", "Weaknesses", "How to improve")
CONVERT = (
    "Rewrite this critique of a photograph as three parts, each on a line of its own that begins "
    "with its name: Description, Weaknesses, How to improve. Write None after a name where the "
    "critique says nothing of it.\n\nCritique:\n{critique}"
)
ASK = (
    "Write one question with four options about what this critique says of the photograph. It must "
    "not be answerable without seeing the photograph. Write these lines and nothing else:\n"
    "Question: …\nA. …\nB. …\nC. …\nD. …\nAnswer: a letter\nTopic: one of {topics}\n"
    "Sub-topic: one of those of the topic: {subtopics}\n\nCritique:\n{critique}"
)
# Tokens of a reply.
LIMITS = {"summarise": 256, "filter": 8, "convert": 320, "ask": 256, "blind": 8}
_NAMED = re.compile(r"^[\W\d_]*(" + "|".join(PARTS) + r")[\s*_]*:[\s*_]*(.*)$", re.IGNORECASE)
_LINE = re.compile(
    r"^[\W\d_]*(Question|Answer|Topic|Sub-?topic|[A-H])[\s*_]*[.:)][\s*_]*(.+)$", re.IGNORECASE
)
NOTHING = ("none", "none.", "nothing", "n/a", "-", "")


@dataclass(frozen=True)
class Parts:
    """A critique in three parts, "" where it says nothing."""

    description: str
    weaknesses: str
    advice: str


def request(step: str, text: str, **known: Any) -> Request:
    """Return what a writer is asked in a step.

    Args:
      text: the prompt. known: what it was made of, for a writer that follows rules.
    """
    turns = (user(text),) if step == "blind" else (system(SYSTEM), user(text))
    ask = Text(LIMITS[step])
    key = content_key(step, ask.limit, turns=turns)
    return Request(key, key, {"step": step, **known}, turns, ask, model="writer")


def summarise(sentences: Sequence[str]) -> Request:
    """Return the request for a critique of the sentences of all comments."""
    listed = "\n".join(f"- {sentence}" for sentence in sentences)
    return request("summarise", SUMMARISE.format(comments=listed), sentences=tuple(sentences))


def about_critique(step: str, critique: str) -> Request:
    """Return the request of a step after the first."""
    prompts = {"filter": FILTER, "convert": CONVERT, "ask": ASK}
    subtopics = "; ".join(f"{topic}: {', '.join(below)}" for topic, below in TOPICS.items())
    fields = {"topics": ", ".join(TOPICS), "subtopics": subtopics}
    return request(step, prompts[step].format(critique=critique, **fields), critique=critique)


def blind(question: Question, order: int) -> Request:
    """Return the request to answer a question without the photograph."""
    return request("blind", with_options(question.question, rotated(question.options, order)))


def read_critique(text: str) -> str | None:
    """Return a critique; None where the writer found nothing to say."""
    critique = " ".join(text.split())
    return None if critique.casefold() in NOTHING else critique


def read_verdict(text: str) -> bool | None:
    """Return whether a critique passes; None where the reply says neither."""
    words = re.findall(r"[a-z]+", text.casefold())
    return {"yes": True, "no": False}.get(words[0] if words else "")


def read_parts(text: str) -> Parts | None:
    """Return the parts of a critique; None where there is no description."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if named := _NAMED.match(line):
            name, line = named[1].casefold(), named[2]
        if name and line.strip():
            found.setdefault(name, []).append(line.strip())
    said = [" ".join(found.get(part.casefold(), [])) for part in PARTS]
    said = ["" if one.casefold() in NOTHING else one for one in said]
    return Parts(*said) if said[0] else None


def read_question(text: str) -> dict[str, Any] | None:
    """Return the row of a question, as `mcq.Reader` takes it; None where there is none."""
    row: dict[str, Any] = {}
    for line in text.splitlines():
        if found := _LINE.match(line):
            name = found[1] if len(found[1]) == 1 else found[1].casefold().replace("-", "")
            row.setdefault(name.upper() if len(name) == 1 else name, found[2].strip())
    return row if "question" in row and "answer" in row else None
