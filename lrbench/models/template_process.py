"""Renders chat templates in a process of its own, within bounds of time and memory.

Run as a program: it reads one JSON object from its input and writes one to its output.

    {"template": TEXT, "tokens": {NAME: TEXT, ...}, "asked": [{"messages": [...], "prompt": BOOL}, ...]}
    {"rendered": [{"text": TEXT} or {"error": TEXT, "refused": BOOL}, ...]}

It imports nothing of lrbench, so that it starts in a tenth of a second. What templates may use is what
transformers gives them (`transformers.utils.chat_template_utils`), except for what is drawn at random.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from datetime import date
from typing import Any, NoReturn

from jinja2 import nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

# Templates may write today's date; a prompt that changes overnight would not be one prompt.
FIXED_DATE = date(2024, 1, 1)
PROCESSOR_SECONDS = 1
MEMORY_BYTES = 512 * 2**20
LONGEST = 500_000


class _Generation(Extension):
    """`{% generation %}` marks what an assistant wrote, for training elsewhere: it stays as it stands."""

    tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body).set_lineno(line)


class _RefusedError(TemplateError):
    """The template itself raised an exception, in its own words."""


def _environment() -> ImmutableSandboxedEnvironment:
    def raise_exception(message: object) -> NoReturn:
        raise _RefusedError(str(message))

    def tojson(
        value: Any,
        ensure_ascii: bool = False,
        indent: Any = None,
        separators: Any = None,
        sort_keys: bool = False,
    ) -> str:
        # Jinja's own escapes what is special in HTML.
        return json.dumps(
            value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
        )

    def random(*_: object, **__: object) -> NoReturn:
        raise TemplateError("it draws at random, so a prompt would not be one prompt")

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters |= {"tojson": tojson, "random": random}
    environment.globals |= {
        "raise_exception": raise_exception,
        "strftime_now": FIXED_DATE.strftime,
        "lipsum": random,
    }
    return environment


def _render(template: str, tokens: dict[str, str], asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    try:
        compiled = _environment().from_string(template)
    except BaseException as error:  # whatever a compiler may raise for a hostile text
        return [_told(error)] * len(asked)
    return [_rendered(compiled, tokens, conversation) for conversation in asked]


def _rendered(compiled: Any, tokens: dict[str, str], conversation: dict[str, Any]) -> dict[str, Any]:
    try:
        text = compiled.render(
            messages=conversation["messages"],
            add_generation_prompt=conversation["prompt"],
            tools=None,
            documents=None,
            **tokens,
        )
    except BaseException as error:  # whatever a template may make Python raise
        return _told(error)
    if len(text) > LONGEST:
        return {"error": f"it writes {len(text):,} characters", "refused": False}
    return {"text": text}


def _told(error: BaseException) -> dict[str, Any]:
    refused = isinstance(error, _RefusedError)
    line = getattr(error, "lineno", None)
    where = "" if line is None else f" in line {line}"
    return {
        "error": str(error)[:500] if refused else f"{type(error).__name__}: {str(error)[:500]}{where}",
        "refused": refused,
    }


def _main() -> None:
    request = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Without a handler of Python's, the signal also ends what Python cannot be interrupted in.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, PROCESSOR_SECONDS)
    rendered = _render(request["template"], request["tokens"], request["asked"])
    json.dump({"rendered": rendered}, sys.stdout)


if __name__ == "__main__":
    _main()
