"""Chat templates: Jinja programs that come with a tokenizer, run as transformers runs them.

A template is a program of whoever published the folder. It runs in Jinja's sandbox, sees messages
and names of special tokens alone, and can change neither.
"""

import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

SWITCH = "choose another format with --config.processor.chat_format"


@dataclass(frozen=True)
class ChatTemplate:
    """A template with all that its text depends on besides the messages.

    Attributes:
      source: the Jinja source.
      tokens: the special tokens by the names that templates use, such as ``bos_token``.
      date: the day (ISO 8601) that a template writes as today's. It is kept with the model, so that
        a prompt does not change overnight. None where the template writes no date.
    """

    source: str
    tokens: dict[str, str] = field(default_factory=dict, hash=False)
    date: str | None = None

    def render(self, messages: Sequence[dict], generate: bool) -> str:
        """Return the text of messages.

        Raises:
          ValueError: the template cannot be parsed, refuses the messages, or fails on them.
        """
        names = {**self.tokens, "strftime_now": self._today}
        try:
            return _compiled(self.source).render(
                messages=list(messages),
                tools=None,
                documents=None,
                add_generation_prompt=generate,
                **names,
            )
        except Exception as error:  # a template is a program and may raise anything
            kind = "" if isinstance(error, jinja2.TemplateError) else f"{type(error).__name__}: "
            raise ValueError(f"chat template: {kind}{error}; {SWITCH}") from None

    def _today(self, format: str) -> str:
        if self.date is None:
            raise jinja2.TemplateError("it writes today's date, but no date is kept with it")
        return datetime.datetime.fromisoformat(self.date).strftime(format)


def dated(source: str, tokens: dict[str, str]) -> ChatTemplate:
    """Return a template that keeps today's date if it writes one."""
    today = datetime.date.today().isoformat() if "strftime_now" in source else None
    return ChatTemplate(source, tokens, today)


class _Generation(jinja2.ext.Extension):
    """Accept ``{% generation %}`` around what assistants say, and render what stands in it."""

    tags = frozenset({"generation"})

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.Scope(body, lineno=line)


def _refuse(message: str):
    raise jinja2.TemplateError(message)


def _to_json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False) -> str:
    """Replace Jinja's filter, which escapes what is special in HTML."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    return environment


@cache
def _compiled(source: str) -> jinja2.Template:
    return _environment().from_string(source)
