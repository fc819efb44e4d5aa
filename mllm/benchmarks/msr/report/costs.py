"""What a user costs: calls, tokens that are read and written, and time."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from mllm.benchmarks.msr.report.study import Study, Subject
from mllm.evaluation.store import REPLIES
from mllm.files import read_jsonl
from mllm.reporting.section import Block, Grid, Paragraph, Section

WORDS = {
    "summary": "Summary of an item",
    "preference": "Preference of a user, all blocks",
    "candidate": "Candidates of a user",
}
_RULE = (
    "Means over what was asked; tokens of a prompt count pictures too. Each prompt is counted as a "
    "whole: where prompts begin alike, as those about the candidates of a user do when the picture "
    "comes last, the shared part is computed once, so less is computed than is counted. Summaries "
    "are made once for each item, whoever has it in the history. All times depend on the machine."
)
_STREAMING = (
    "A user’s new block of items costs one call and {} tokens, since the preference before it is "
    "kept; reading the whole history again costs {} calls and {} tokens on average."
)


@dataclasses.dataclass(frozen=True)
class Part:
    """What one kind of question costs.

    Attributes:
      calls: how many for each of what it is asked about: an item, or a user.
      read, written: tokens of the prompts and of the replies of one of them; None if not counted.
    """

    calls: float
    read: float | None
    written: float | None


def cost_section(study: Study) -> Section | None:
    """Return what a user costs; None where no model counted its tokens."""
    rows, streaming = [], ""
    for one in study.models:
        found = parts(one)
        if "candidate" not in found or found["candidate"].read is None:
            continue
        # Summaries and preferences are written once, by one model, for all that read them.
        shown = found if one == study.recommender else {"candidate": found["candidate"]}
        for name, part in shown.items():
            last = _seconds(one) if name == "candidate" else "–"
            tokens = (_tokens(part.read), _tokens(part.written))
            rows.append((one.label, WORDS[name], f"{part.calls:,.1f}", *tokens, last))
        preference = shown.get("preference")
        if preference and preference.read is not None:
            streaming = _sentence(preference)
    if not rows:
        return None
    heads = ("Method", "Questions", "Calls", "Tokens read", "Tokens written", "Seconds a user")
    blocks: list[Block] = [Grid("Cost of a user", heads, tuple(rows), words=(1,))]
    if streaming:
        blocks.insert(0, Paragraph(streaming))
    blocks.append(Paragraph(_RULE, note=True))
    return Section("cost", "What a user costs", tuple(blocks), "Cost")


def parts(one: Subject) -> dict[str, Part]:
    """Return what each kind of question cost a method, by the part of the protocol."""
    asked: dict[str, list[Mapping[str, Any]]] = {}
    for row in read_jsonl(one.run.records_path.with_name(REPLIES)):
        asked.setdefault((row.get("tags") or {}).get("part", ""), []).append(row)
    found = {}
    for name, about in (("summary", "item"), ("preference", "user"), ("candidate", "user")):
        rows = asked.get(name)
        if not rows:
            continue
        whole = len({row["tags"][about] for row in rows})
        read, written = (
            _sum(row["extra"].get(key) for row in rows) for key in ("prompt_tokens", "reply_tokens")
        )
        each = [None if total is None else total / whole for total in (read, written)]
        found[name] = Part(len(rows) / whole, *each)
    return found


def _sentence(part: Part) -> str:
    """Return what a new block costs, against the whole history."""
    once = (part.read + (part.written or 0)) / part.calls
    return _STREAMING.format(_tokens(once), f"{part.calls:,.1f}", _tokens(once * part.calls))


def _sum(values: Iterable[float | None]) -> float | None:
    found = list(values)
    return None if not found or None in found else float(sum(found))


def _tokens(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _seconds(one: Subject) -> str:
    """Return the time of the whole evaluation for each user, if it was measured."""
    seconds = (one.run.cost.get("efficiency") or {}).get("seconds")
    return f"{seconds / len(one.users):,.2f}" if seconds and one.users else "–"
