"""The published protocol of MLLMU-Bench: its switches, its prompts letter by letter, and how it
reads an answer.

Source of prompts and rules: eval.py of github.com/franciscoliu/MLLMU-Bench at 0e3098e. A shot is
another question with its answer, before the one that is asked. ``shown`` says whether a question
comes with its picture; `<image>` marks its place.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import ClassVar

from mllm.benchmarks.mllmu.schema import LETTERS
from mllm.evaluation.parsing import CHOICE_RULES, answer_state
from mllm.registry import lookup

# What the script does for Idefics2 where it differs from LLaVA. It tells them apart by the
# beginning of the model's name, which Idefics3 shares.
LLAVA = {"classification_shots": 1, "cloze_shots": 2, "text_choice_tokens": 50}
IDEFICS = {"classification_shots": 1, "cloze_shots": 1, "text_choice_tokens": 5}
SHOTS_FROM = ("evaluated_set", "retain", "none")
CHOICES = {
    "shots_from": SHOTS_FROM,
    "test_image": ("random", "first"),
    "pictures": ("published", "upright"),
    "parse": ("whole", "reply"),
    "choice_rule": tuple(CHOICE_RULES),
    "overflow": ("refuse", "run"),
}


@dataclass(frozen=True)
class PaperProtocol:
    """The switches. The defaults are what the published script does.

    Attributes:
      seed: of the draws, in the order of the script: with ``random.seed(seed)`` as its first line
        it draws the same shots and pictures.
      shots_from: whose facts are shown before a question: "evaluated_set" (so the prompt contains
        facts that are to be forgotten), "retain" (the retain set's, for every set) or "none".
      classification_shots, cloze_shots: profiles drawn, each of which gives all its questions of
        the task; None takes what the script takes for the model's family.
      skip_shots: whether questions that were shown as shots are left out of the evaluated set.
      test_image: which picture of a profile of the test set is shown.
      pictures: "published" shows what ``Image.open(...).convert("RGB")`` makes of a file, as the
        script does: no orientation of EXIF is applied and transparency is dropped. "upright" shows
        it as ``strict`` does.
      parse: "whole" cuts the answer out of the decoded prompt and reply, at ``ASSISTANT:``; "reply"
        takes what was generated and nothing else.
      choice_rule: "first_char" or "strict", see ``mllm.evaluation.parsing``. The clozes are always
        scored by both rules, published (``substring``) and strict (``exact``).
      generation_trailing_space: whether the generation prompt with a picture ends with a space.
      max_new_tokens: of every reply but multiple choice without a picture.
      text_choice_tokens: of that; None takes what the script takes for the model's family.
      overflow: "refuse" prompts that exceed the model's positions before anything is asked, or
        "run" them, as the script does.
    """

    seed: int = 0
    shots_from: str = "evaluated_set"
    classification_shots: int | None = None
    cloze_shots: int | None = None
    skip_shots: bool = True
    test_image: str = "random"
    pictures: str = "published"
    parse: str = "whole"
    choice_rule: str = "first_char"
    generation_trailing_space: bool = True
    max_new_tokens: int = 50
    text_choice_tokens: int | None = None
    overflow: str = "refuse"

    name: ClassVar[str] = "paper"

    def __post_init__(self):
        for key, known in CHOICES.items():
            lookup(dict.fromkeys(known), getattr(self, key), f"value of evaluation.paper.{key}")
        for key in ("max_new_tokens", "text_choice_tokens"):
            if getattr(self, key) is not None and getattr(self, key) < 1:
                raise ValueError(f"evaluation.paper.{key} is {getattr(self, key)}, expected >= 1")

    def for_family(self, family: str) -> "PaperProtocol":
        """Return the same with each None replaced by what the script takes for a family."""
        published = IDEFICS if family.startswith("idefics") else LLAVA
        missing = {key: value for key, value in published.items() if getattr(self, key) is None}
        return replace(self, **missing)

    def shots(self, task: str) -> int:
        """Return the number of profiles to draw for a task."""
        if self.shots_from == "none" or task == "generation":
            return 0
        return self.classification_shots if task == "classification" else self.cloze_shots

    def new_tokens(self, task: str, shown: bool) -> int:
        """Return the most tokens of a reply."""
        short = task == "classification" and not shown
        return self.text_choice_tokens if short else self.max_new_tokens

    def digest_fields(self) -> dict:
        """Return what replies depend on; how they are read may change."""
        fields = {"name": self.name, **asdict(self)}
        for key in ("parse", "choice_rule", "overflow"):
            del fields[key]
        return fields

    def scoring_fields(self) -> dict:
        """Return what scores depend on besides the replies."""
        return {"parse": self.parse, "choice_rule": self.choice_rule}

    def read(self, record: Mapping) -> dict:
        """Return the record with the answer, its state, and the rule that reads a letter from it.

        The answer is read from ``decoded`` (prompt and reply, decoded without their first two
        tokens) or from ``generated`` (the reply alone).
        """
        if self.parse == "reply":
            reply = record["generated"].strip()
        else:
            reply = read_answer(record["decoded"], record["task"])
        state = record["state"]
        if state == "valid":
            state = answer_state(reply, ended=record["ended"])
        return {**record, "reply": reply, "state": state, "choice_rule": self.choice_rule}


def read_answer(decoded: str, task: str) -> str:
    """Return the answer by the published cut.

    It is the text between the first and the second ``ASSISTANT:``; without one, and outside
    multiple choice, between the first and the second ``Answer:``; otherwise everything.
    """
    for mark in ("ASSISTANT:",) if task == "classification" else ("ASSISTANT:", "Answer:"):
        if mark in decoded:
            return decoded.split(mark)[1].strip()
    return decoded.strip()


def blanked(question: str) -> str:
    """Return a cloze as it is put, as a shot and as a question."""
    question = str(question).replace("__", "[Blank]")
    return (
        f"{question}\nPlease **ONLY** provide the correct answer that should replace the [Blank]."
    )


def make_shot(question, shown: bool) -> str:
    """Return a question with its answer, as it is shown before another question."""
    if question.task == "cloze":
        lead = "USER:<image>\n" if shown else "USER:\n"
        return f"{lead}{blanked(question.question)}\nCorrect Answer: {question.answer}\n"
    lead = "USER: <image>\n" if shown else "USER:\n"
    # A shot has the options A to D, a question all that its row has.
    options = {letter: question.options.get(letter) for letter in LETTERS}
    asked = f"Question: {_with_options(question.question, options)}"
    return f"{lead}{asked}\nCorrect Answer: {question.answer}\n"


def make_query(question, shown: bool, *, trailing_space: bool = True) -> str:
    """Return a question as it is asked; shots go before it."""
    lead = "USER: <image>\n" if shown else "USER:\n"
    if question.task == "cloze":
        return f"{lead}{blanked(question.question)}\nASSISTANT:"
    if question.task == "classification":
        instruction = "Just give ONE letter representing the answer directly."
        asked = _with_options(question.question, question.options)
        return f"{lead}{asked}\n{instruction}\nASSISTANT:"
    instruction = "Answer the question based on your trained knowledge in one sentence"
    if not shown:
        return f"USER: {question.question}\n{instruction} in ENGLISH.\nASSISTANT:"
    end = " " if trailing_space else ""
    return f"{lead}{question.question}\n{instruction} accurately in ENGLISH.\nASSISTANT:{end}"


def _with_options(question: str | None, options: Mapping[str, str | None]) -> str:
    """Return the question and its options; what is missing reads "None", as in the script."""
    lines = [f"{letter}: {text}" for letter, text in options.items()]
    return "\n".join([str(question), *lines])
