"""Prompts as conversations: about an item, about the items of a block, and about a candidate.

In the published layout of the recommender's prompt the picture comes first, so that two candidates
of a user share nothing but the mark before it. With the picture last, all that is said of the user
stands before it: it is read once, and the candidates branch from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mllm.benchmarks.msr.rows import Item
from mllm.benchmarks.msr.wording import PUBLISHED, Wording
from mllm.data.conversation import Media, Turn, image, raw, user
from mllm.registry import lookup

LAYOUTS = ("picture_last", "published")
OF_CANDIDATE, OF_HISTORY = ("picture", "title", "summary"), ("title", "summary")
BEGIN, END = "[INST]", "[/INST]"


@dataclass(frozen=True)
class Prompts:
    """How prompts are written.

    Attributes:
      wording: their words.
      layout: of the recommender's prompt, one of ``LAYOUTS``.
      compat: write the published marks, to the byte: prompts about an item and a candidate are then
        raw, and a prompt about items begins with the stray mark of the source, around which the
        chat format writes its own. False leaves all marks to the chat format.
      candidate: of ``OF_CANDIDATE``, what is shown of a candidate.
      history: of ``OF_HISTORY``, what is said of each item of a history.

    Raises:
      ValueError: an unknown layout, a part that is not known, or nothing is shown.
    """

    wording: Wording = PUBLISHED
    layout: str = "picture_last"
    compat: bool = False
    candidate: tuple[str, ...] = ("picture", "title")
    history: tuple[str, ...] = OF_HISTORY

    def __post_init__(self):
        lookup(dict.fromkeys(LAYOUTS), self.layout, "layout (config.prompts.layout)")
        for name, known in (("candidate", OF_CANDIDATE), ("history", OF_HISTORY)):
            chosen = getattr(self, name)
            if not chosen or set(chosen) - set(known):
                raise ValueError(
                    f"config.prompts.{name} is {tuple(chosen)!r}, expected some of {known!r}"
                )

    def about_picture(self, item: Item) -> tuple[Turn, ...]:
        """Return the prompt for a summary of an item's picture.

        Raises:
          ValueError: the item has no picture.
        """
        return self._turns(f"{BEGIN} ", [_picture(item), self.wording.picture])

    def about_text(self, item: Item) -> tuple[Turn, ...]:
        """Return the prompt for a summary of an item's title and description."""
        said = self.wording.text.format(title=item.title, description=item.description)
        return self._turns(f"{BEGIN} ", [said])

    def fusing(self, text: str, picture: str) -> tuple[Turn, ...]:
        """Return the prompt for one summary made of two."""
        return self._turns(f"{BEGIN} ", [self.wording.fused.format(text=text, picture=picture)])

    def about_block(
        self,
        user_id: str,
        items: Sequence[Item],
        summaries: Sequence[str],
        before: str | None = None,
        *,
        single: bool = False,
    ) -> tuple[Turn, ...]:
        """Return the prompt for a preference.

        Args:
          items: of one block, oldest first. summaries: of these.
          before: the answer to the block before it, verbatim; None for a first block.
          single: whether the items are the whole history, which is asked about at once.
        """
        said = self.wording
        lines = [
            self._line(place, item, summary)
            for place, (item, summary) in enumerate(zip(items, summaries, strict=True), 1)
        ]
        middle = said.first if before is None else said.later.format(before=before)
        text = said.header.format(user=user_id) + "".join(lines) + middle
        text += said.single if single else said.tail
        return (user(f"{BEGIN} {text}" if self.compat else text),)

    def about_candidate(self, preference: str, item: Item, summary: str = "") -> tuple[Turn, ...]:
        """Return the recommender's prompt about one candidate of a user.

        Args:
          summary: of the candidate; it is read where summaries of candidates are shown.

        Raises:
          ValueError: the picture is to be shown, and the item has none.
        """
        said = self.wording
        return self._of_candidate(preference, item, summary, said.predict, said.only)

    def about_common(self, preference: str, item: Item, summary: str = "") -> tuple[Turn, ...]:
        """Return a prompt for what a preference and a candidate have in common."""
        return self._of_candidate(preference, item, summary, "", "", self.wording.common)

    def _of_candidate(
        self,
        preference: str,
        item: Item,
        summary: str,
        predict: str,
        only: str,
        after: str = "",
    ) -> tuple[Turn, ...]:
        said = self.wording
        based = said.based.format(preference=preference)
        title = said.title.format(title=item.title) if "title" in self.candidate else ""
        if "summary" in self.candidate:
            title += said.described.format(summary=summary)
        shown = [_picture(item)] if "picture" in self.candidate else []
        if self.layout == "published" or not shown:
            parts = [*shown, based + predict + title + only + after]
        else:
            last = title + after
            parts = [based + predict + only, *shown, *([last] if last else [])]
        return self._turns(BEGIN, parts)

    def about_titles(
        self, user_id: str, history: Sequence[Item], candidate: Item
    ) -> tuple[Turn, ...]:
        """Return a prompt about a candidate that shows titles alone, of the history too."""
        said = self.wording
        lines = [
            said.bare.format(place=place, item=item.id, title=item.title)
            for place, item in enumerate(history, 1)
        ]
        text = said.header.format(user=user_id) + "".join(lines) + said.predict
        text += said.title.format(title=candidate.title) + said.only
        return self._turns(BEGIN, [text])

    def _line(self, place: int, item: Item, summary: str) -> str:
        said = self.wording
        forms = {("summary",): said.untitled, ("title",): said.bare}
        form = forms.get(tuple(self.history), said.line)
        return form.format(place=place, item=item.id, title=item.title, summary=summary)

    def _turns(self, begin: str, parts: Sequence[str | Media]) -> tuple[Turn, ...]:
        if not self.compat:
            return (user(*parts),)
        after = False
        written: list[str | Media] = [begin]
        for part in parts:
            written.append(f"\n{part}" if after and isinstance(part, str) else part)
            after = isinstance(part, Media)
        if not isinstance(written[-1], str):
            written.append("")
        return (raw(*_joined([*written[:-1], f"{written[-1]}{END}"])),)


def _picture(item: Item) -> Media:
    if item.picture is None:
        raise ValueError(
            f"item {item.id!r} has no picture; set config.prompts.candidate to ('title',), "
            "and config.summaries.kind to 'text'"
        )
    return image(item.picture)


def _joined(parts: Sequence[str | Media]) -> list[str | Media]:
    """Return the parts with neighbouring texts as one."""
    found: list[str | Media] = []
    for part in parts:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        else:
            found.append(part)
    return found
