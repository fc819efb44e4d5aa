"""A chat format made of a chat template: turns to pieces of text, as ``mllm.data.chat`` has them.

A template gives one text. To know which part of it an assistant says, and to keep what people type
apart from the special tokens of the template, the words of turns are rendered with marks that
nobody can type, and the marks are taken out of the text.
"""

import itertools
import re
from collections.abc import Collection, Sequence
from functools import cached_property, partial

from mllm.data.blocks import AUDIO, IMAGE, MARK, special
from mllm.data.chat import Pieces
from mllm.data.chat_template import SWITCH, ChatTemplate
from mllm.data.conversation import Media, Turn, assistant, audio, image, system, user

TYPED, OPEN, CLOSE = "\ufdd2", "\ufdd3", "\ufdd4"  # Unicode noncharacters, as blocks.MARK
MARKS = dict.fromkeys(map(ord, (MARK, TYPED, OPEN, CLOSE)))
ROLES = ("user", "assistant", "system")
WORDS = {"user": "harbour", "assistant": "lantern", "system": "meadow"}


def texts_of(turn: Turn) -> list[str]:
    """Return the texts of a turn, in order, without characters that are marks here."""
    return [part.translate(MARKS) for part in turn.parts if isinstance(part, str)]


class TemplateFormat:
    """What ``CHAT_FORMATS`` holds functions for: called with turns, it returns their pieces."""

    def __init__(
        self,
        template: ChatTemplate,
        names: Collection[str],
        image: str | None,
        sound: str | None = None,
    ):
        """Prepare a template.

        Args:
          names: of all special tokens. image, sound: the names of the tokens that stand for one,
            None in a model that takes none.
        """
        self.template, self.image, self.sound = template, image, sound
        media = {name for name in (image, sound) if name}
        longest_first = sorted({*names, *media}, key=len, reverse=True)
        self._names = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def __call__(self, turns: Sequence[Turn], generate: bool) -> Pieces:
        """Return the pieces of a conversation; their text is that of the template.

        Raises:
          ValueError: the template refuses the turns, leaves out what an assistant says, or reads
            the names of special tokens within what a turn says.
        """
        plain = self._render(self._forms, turns, generate)
        for inside in (False, True):  # the second time for a template that strips white space
            marked = self._render(self._forms, turns, generate, partial(self._marked, inside))
            if marked.translate(MARKS) == plain:
                break
        else:
            raise ValueError(
                f"chat template: it changes special tokens that are typed in a turn; {SWITCH}"
            )
        said = sum(turn.role == "assistant" and bool(turn.text.strip()) for turn in turns)
        parts = re.split(f"({OPEN}|{CLOSE})", marked)
        if parts[1::2] != [OPEN, CLOSE] * said:
            raise ValueError(
                "chat template: it does not write all that assistants say, once and in order; "
                f"{SWITCH}"
            )
        texts = parts[::2]  # of the template and of assistants, by turns
        for before in range(0, len(texts) - 1, 2):
            lead = texts[before].removesuffix(self._gap)
            texts[before : before + 2] = lead, texts[before][len(lead) :] + texts[before + 1]
        pieces = [(self._named(text), bool(place % 2)) for place, text in enumerate(texts)]
        return [(text, by_assistant) for text, by_assistant in pieces if text]

    def _named(self, text: str) -> str:
        """Return text in which special tokens are written as in ``mllm.data.blocks``."""

        media = {self.image: IMAGE, self.sound: AUDIO}

        def privately(found: re.Match) -> str:
            return media.get(found.group()) or special(found.group())

        return self._names.sub(privately, text).replace(TYPED, "")

    def _render(self, forms: dict, turns: Sequence[Turn], generate: bool, texts_of=texts_of) -> str:
        messages = [
            {"role": turn.role, "content": self._content(turn, texts_of(turn), forms[turn.role])}
            for turn in turns
        ]
        return self.template.render(messages, generate)

    def _content(self, turn: Turn, texts: Sequence[str], form: str) -> str | list[dict]:
        """Return a turn as a message holds it: a list of parts, or one text, in which media
        stand first and each on a line of its own.
        """
        if form == "text":
            names = {"image": self.image, "audio": self.sound}
            return "".join(f"{names[shown.kind]}\n" for shown in turn.media) + "".join(texts)
        waiting = iter(texts)
        return [
            {"type": part.kind}
            if isinstance(part, Media)
            else {"type": "text", "text": next(waiting)}
            for part in turn.parts
        ]

    def _marked(self, inside: bool, turn: Turn) -> list[str]:
        """Return the texts of a turn with marks: in names of special tokens that are typed, and
        around what an assistant says, ``inside`` its outer white space or around that too.
        """
        texts = [
            self._names.sub(lambda name: name.group()[0] + TYPED + name.group()[1:], text)
            for text in texts_of(turn)
        ]
        spoken = [place for place, text in enumerate(texts) if text.strip()]
        if turn.role == "assistant" and spoken:
            first, last = (spoken[0], spoken[-1]) if inside else (0, -1)
            start = len(texts[first]) - len(texts[first].lstrip()) if inside else 0
            texts[first] = texts[first][:start] + OPEN + texts[first][start:]
            end = len(texts[last].rstrip()) if inside else len(texts[last])
            texts[last] = texts[last][:end] + CLOSE + texts[last][end:]
        return texts

    @cached_property
    def _forms(self) -> dict[str, str]:
        """The form in which each role's content reaches the text, found by trying."""
        shown = [] if self.image is None else [image(b"")]
        shown += [] if self.sound is None else [audio(b"")]
        tokens = [name for name in (self.image, self.sound) if name is not None]
        asked = user(*shown, WORDS["user"])
        talk = [asked, assistant(WORDS["assistant"]), asked]
        refusal, written = None, False
        for turns in ([system(WORDS["system"]), *talk], talk):
            roles = {turn.role for turn in turns}
            for chosen in itertools.product(("parts", "text"), repeat=len(ROLES)):
                forms = dict(zip(ROLES, chosen, strict=True))
                try:
                    text = self._render(forms, turns, True)
                except ValueError as error:
                    refusal = error
                    continue
                written = True
                whole = all(text.count(WORDS[r]) == (2 if r == "user" else 1) for r in roles)
                media = all(text.count(token) == 2 for token in tokens)
                if whole and media and not re.search("""['"]type['"]""", text):
                    return forms
        if refusal is not None and not written:
            raise refusal
        raise ValueError(
            "chat template: it does not write what turns say and show, neither as lists of parts "
            f"nor as texts; {SWITCH}"
        )

    @cached_property
    def _gap(self) -> str:
        """The white space between the lead of an answer and the answer."""
        turns = [user(WORDS["user"]), assistant(WORDS["assistant"])]
        lead = self._render(self._forms, turns[:1], True)
        whole = self._render(self._forms, turns, False)
        if not whole.startswith(lead):
            return ""
        gap = whole[len(lead) :].partition(WORDS["assistant"])[0]
        return gap if not gap.strip() else ""
