"""Texts of lm-eval's tasks as token ids, as lm-eval's own models have them.

A context is a whole prompt, in which a task may have put anything: what is spelt like a control token in it
is one, other than in prompts of lrbench's own suites.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lrbench.errors import RunError
from lrbench.models.loading import Tokenizer
from lrbench.models.template_process import FIXED_DATE


class TaskTexts:
    """Encodes and decodes texts with the tokenizer of a model."""

    def __init__(self, tokenizer: Tokenizer, stop_ids: Sequence[int]) -> None:
        self.tokenizer = tokenizer
        beginning = tokenizer.bos_token_id
        # What stands before a text without a context; as lm-eval has it, the end where there is no beginning.
        self.first = int(beginning if beginning is not None else tokenizer.eos_token_id or stop_ids[0])
        self._marks = tokenizer.decode([self.first])

    def ids(self, text: str) -> list[int]:
        """Token ids of a text, behind what the tokenizer begins texts with, unless it has that already."""
        if text.startswith(self._marks):
            return list(self.tokenizer.encode(text, add_special_tokens=False))
        return list(self.tokenizer.encode(text))

    def pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        """Token ids of a context and of what continues it, neither of them empty.

        White space at the context's end belongs to what follows: there it is part of a token. Raises
        `RunError` for a continuation of which nothing is left.
        """
        if not context:
            after = list(self.tokenizer.encode(continuation, add_special_tokens=False))
            before, after = ([self.first], after) if after[:1] != [self.first] else (after[:1], after[1:])
        else:
            stripped = context.rstrip()
            if stripped:
                context, continuation = stripped, context[len(stripped) :] + continuation
            before = self.ids(context)
            after = self.ids(context + continuation)[len(before) :]
        if not after:
            raise RunError(f"a task asks how likely {continuation!r} is, which is no token of the model")
        return before, after

    def text(self, completion: Sequence[int], until: Sequence[str]) -> str:
        """What was written, without control tokens, up to the first of the texts that end it."""
        written: str = self.tokenizer.decode(completion, skip_special_tokens=True)
        for ending in until:
            if ending:
                written = written.split(ending, maxsplit=1)[0]
        return written

    def chat(self, messages: list[Mapping[str, str]], add_generation_prompt: bool = True) -> str:
        """Messages in the model's own chat template."""
        rendered: str = self.tokenizer.apply_chat_template(
            messages,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
            strftime_now=FIXED_DATE.strftime,
        )
        return rendered


def endings(kwargs: Mapping[str, Any]) -> list[str]:
    """The texts that end an answer, as a task says them."""
    until = kwargs.get("until") or []
    return [until] if isinstance(until, str) else list(until)
