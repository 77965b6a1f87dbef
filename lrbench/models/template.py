"""Chat templates are programs of strangers: they are rendered within bounds, in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lrbench.errors import ModelError

PROGRAM = Path(__file__).with_name("template_process.py")
# Its processor time is bounded; this is for machines that give it none.
WALL_SECONDS = 60
WHAT_TO_DO = "mend the template in a copy of the model's folder, or use another model"

# Two problems to try a template with: one of all that templates change, one long enough to be cut.
FIRST = "Let $x < 3 & y = \\frac{1}{2}$.\n\nIs \"x\" above 'y'? {{ x }} \N{GREEK SMALL LETTER PI}"
SECOND = " ".join(f"Sum {number} and {number + 1}." for number in range(250))


@dataclass(frozen=True)
class Conversation:
    """Messages as (role, content); `prompt` asks for the beginning of the next answer behind them."""

    messages: tuple[tuple[str, str], ...]
    prompt: bool = True


@dataclass(frozen=True)
class Rendering:
    """What a template made of a conversation: its text, or why there is none.

    `refused` says that the template itself would not, in the words of `error`.
    """

    text: str | None = None
    error: str = ""
    refused: bool = False


def render_conversations(
    name: str, template: str, tokens: Mapping[str, str], asked: Sequence[Conversation]
) -> list[Rendering]:
    """What the chat template of the model `name` makes of each conversation asked.

    `tokens` are its named special tokens. Raises `ModelError` for a template that takes too long or too much
    memory, or that ends the process.
    """
    request = {
        "template": template,
        "tokens": dict(tokens),
        "asked": [
            {
                "messages": [{"role": role, "content": content} for role, content in conversation.messages],
                "prompt": conversation.prompt,
            }
            for conversation in asked
        ],
    }
    try:
        # Without `-P` the modules beside the program would stand before Python's own. With `-S` nothing runs
        # that packages have put in place for the start of Python, so it is told where packages are.
        done = subprocess.run(
            [sys.executable, "-P", "-S", str(PROGRAM)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=WALL_SECONDS,
            check=False,
        )
        answer = json.loads(done.stdout)["rendered"]
    except (subprocess.TimeoutExpired, ValueError, KeyError) as error:
        raise ModelError(
            f"{name}: its chat template does not come to an end within 1 second of processor time and "
            f"512 MiB of memory; {WHAT_TO_DO}"
        ) from error
    return [
        Rendering(found.get("text"), found.get("error", ""), found.get("refused", False)) for found in answer
    ]


def unrenderable(name: str, reason: str) -> ModelError:
    """The error for a template that cannot be rendered; `reason` is in the words of what failed."""
    return ModelError(f"{name}: its chat template cannot be rendered ({printable(reason)}); {WHAT_TO_DO}")


def refused(name: str, reason: str, has_system_prompt: bool) -> ModelError:
    """The error for a template that would not render a prompt, in its own words."""
    system = " with a system prompt" if has_system_prompt else ""
    return ModelError(
        f"{name}: the model's chat template refuses a prompt{system}: {printable(reason)}; {WHAT_TO_DO}"
    )


def check_shown(name: str, renderings: Mapping[str, Rendering]) -> None:
    """Raise `ModelError` unless every rendering shows the problem it was asked with, whole."""
    for problem, rendering in renderings.items():
        if rendering.refused:
            raise refused(name, rendering.error, has_system_prompt=False)
        if rendering.text is None:
            raise unrenderable(name, rendering.error)
        if not shows(rendering.text, problem):
            raise not_shown(name)
    if len({rendering.text for rendering in renderings.values()}) < len(renderings):
        raise not_shown(name)


def shows(text: str, problem: str) -> bool:
    """Whether a prompt shows the problem as it is, but perhaps without white space around it."""
    return problem.strip() in text


def not_shown(name: str) -> ModelError:
    """The error for a template that leaves a problem out, cuts it or rewrites it."""
    return ModelError(
        f"{name}: its chat template does not show the model the problem as it stands, so every answer would "
        f"be to something else; {WHAT_TO_DO}"
    )


def printable(text: str, longest: int = 200) -> str:
    """`text` on one line without anything that a terminal would obey, and not longer than `longest`."""
    line = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    return line if len(line) <= longest else f"{line[:longest]}..."
