"""THE prompt renderer: training, sampling and evaluation all turn a problem into token ids here."""

from __future__ import annotations

import hashlib
from datetime import date

from jinja2 import TemplateError

from lrbench.errors import ModelError
from lrbench.models.loading import Tokenizer

# Templates may write today's date; a prompt that changes overnight would not be one prompt.
FIXED_DATE = date(2024, 1, 1)

CANARY_PROBLEMS = (
    "What is 2 + 3?",
    "A train goes 60 km in 2 hours. How fast is it?  ",
    "Find $\\frac{1}{2}$ of 10.\nChoices: (A) 5 (B) 10",
)


def render_prompt(tokenizer: Tokenizer, problem: str, system_prompt: str | None) -> list[int]:
    """Token ids of the prompt that asks `problem`, ready for the model to answer.

    The model's own chat template is used where it has one, ChatML otherwise. Raises `ModelError` when
    the template refuses the prompt.
    """
    messages = [{"role": "system", "content": system_prompt}] if system_prompt is not None else []
    messages.append({"role": "user", "content": problem})
    if tokenizer.chat_template is not None:
        try:
            ids: list[int] = tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, return_dict=False, strftime_now=FIXED_DATE.strftime
            )
        except TemplateError as error:
            system = "" if system_prompt is None else " (with a system prompt)"
            raise ModelError(f"the model's chat template refuses a prompt{system}: {error}") from error
        return ids
    turns = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in messages)
    plain: list[int] = tokenizer.encode(turns + "<|im_start|>assistant\n", add_special_tokens=False)
    return plain


def canary_hash(tokenizer: Tokenizer, system_prompt: str | None) -> str:
    """Hash of the token ids of fixed prompts: equal hashes mean prompts are built alike."""
    rendered = [render_prompt(tokenizer, problem, system_prompt) for problem in CANARY_PROBLEMS]
    return hashlib.sha256(repr(rendered).encode()).hexdigest()
