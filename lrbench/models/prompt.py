"""THE prompt renderer: training, sampling and evaluation all turn a problem into token ids here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from weakref import WeakKeyDictionary

from jinja2 import TemplateError

from lrbench.errors import ModelError
from lrbench.models.loading import Tokenizer
from lrbench.models.plain_text import Scaffold, encode_plain, encode_prompt
from lrbench.models.template import (
    FIRST,
    SECOND,
    WHAT_TO_DO,
    Conversation,
    check_shown,
    not_shown,
    refused,
    render_conversations,
    shows,
    unrenderable,
)
from lrbench.models.template_process import FIXED_DATE
from lrbench.models.tokenizer_facts import begins_of, chosen_template

CANARY_PROBLEMS = (
    "What is 2 + 3?",
    "A train goes 60 km in 2 hours. How fast is it?  ",
    "Find $\\frac{1}{2}$ of 10.\nChoices: (A) 5 (B) 10",
)
ROLES = ("system", "user")
# Words that no template and no tokenizer treats in a way of its own; they hold the places of user texts.
PLACES = ("lrbenchplaceofsystem", "lrbenchplaceofproblem")
_SCAFFOLDS: WeakKeyDictionary[Tokenizer, dict[tuple[str, tuple[str, ...]], Scaffold]] = WeakKeyDictionary()


def render_prompt(tokenizer: Tokenizer, problem: str, system_prompt: str | None) -> list[int]:
    """Token ids of the prompt that asks `problem`, ready for the model to answer.

    The model's own chat template is used where it has one, ChatML otherwise, behind what the tokenizer begins
    every text with. What is spelt like a control token in the problem or the system prompt is read as text.
    Raises `ModelError` when the template refuses the prompt, fails, or does not show the problem, and when
    the tokenizer cannot read such a text.
    """
    texts = (problem,) if system_prompt is None else (system_prompt, problem)
    text = _prompt_text(tokenizer, texts)
    if not shows(text, problem):
        raise not_shown(_name(tokenizer))
    ids = encode_prompt(tokenizer, text, _scaffold(tokenizer, PLACES[-len(texts) :]), texts)
    if tokenizer.chat_template is not None:
        return ids
    begins = list(begins_of(tokenizer))
    return ids if ids[: len(begins)] == begins else begins + ids


def check_prompts(name: str, tokenizer: Tokenizer, system_prompts: Iterable[str | None]) -> None:
    """Prove that prompts of the model `name` show what they are to show, with each of the system prompts.

    Raises `ModelError` when its chat template refuses one, fails, leaves problems out or changes them,
    differs from one rendering to the next, or takes too long.
    """
    template = chosen_template(tokenizer.chat_template, name)
    if template is None:
        return
    asked = [
        (problem,) if system_prompt is None else (system_prompt, problem)
        for system_prompt in dict.fromkeys(system_prompts)
        for problem in (FIRST, SECOND)
    ]
    conversations = [Conversation(tuple(zip(ROLES[-len(texts) :], texts, strict=True))) for texts in asked]
    bounded = render_conversations(name, template, tokenizer.special_tokens_map, conversations)
    for texts, rendering in zip(asked, bounded, strict=True):
        if rendering.refused:
            raise refused(name, rendering.error, has_system_prompt=len(texts) > 1)
    for first, second in zip(bounded[::2], bounded[1::2], strict=True):
        check_shown(name, {FIRST: first, SECOND: second})
    # What it makes of the same messages here, in another process, is the same.
    for texts, rendering in zip(asked, bounded, strict=True):
        if _prompt_text(tokenizer, texts) != rendering.text:
            raise ModelError(
                f"{name}: its chat template does not render the same messages the same way twice, so prompts "
                f"could not be repeated; {WHAT_TO_DO}"
            )


def closing_tokens(tokenizer: Tokenizer) -> list[int]:
    """What every prompt has behind its problem: the tokens that close the question and open the answer."""
    first, second = (render_prompt(tokenizer, problem, None) for problem in CANARY_PROBLEMS[:2])
    shared = 0
    while shared < min(len(first), len(second)) and first[-1 - shared] == second[-1 - shared]:
        shared += 1
    return first[len(first) - shared :]


def render_answer(tokenizer: Tokenizer, answer: str) -> list[int]:
    """Token ids of a given answer, without what ends it; control tokens in it are read as text.

    Raises `ModelError` when the tokenizer cannot read such a text.
    """
    return encode_plain(tokenizer, answer)


def single_token(tokenizer: Tokenizer, text: str, name: str) -> int:
    """The id of a text that is one token of the model `name`.

    Raises `ModelError` when it is none or several.
    """
    ids = encode_plain(tokenizer, text)
    if len(ids) != 1:
        pieces = ", ".join(json.dumps(tokenizer.decode([token]), ensure_ascii=False) for token in ids)
        raise ModelError(
            f"{name}: an answer takes {json.dumps(text, ensure_ascii=False)} for one token, and it is "
            f"{len(ids)} of the model's ({pieces}); name a text that is one, with the space before it"
        )
    return ids[0]


def _prompt_text(tokenizer: Tokenizer, texts: Sequence[str]) -> str:
    """The prompt of a problem, or of a system prompt and a problem."""
    messages = [
        {"role": role, "content": text} for role, text in zip(ROLES[-len(texts) :], texts, strict=True)
    ]
    name = _name(tokenizer)
    if chosen_template(tokenizer.chat_template, name) is None:
        turns = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in messages)
        return f"{turns}<|im_start|>assistant\n"
    try:
        rendered: str = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=False, strftime_now=FIXED_DATE.strftime
        )
    except TemplateError as error:
        # Its own words, where it was written to refuse; those of Jinja, where it was written wrongly.
        raise refused(name, str(error), has_system_prompt=len(texts) > 1) from error
    except Exception as error:  # a template is a program, and may make Python raise anything
        raise unrenderable(name, f"{type(error).__name__}: {error}") from error
    return rendered


def _scaffold(tokenizer: Tokenizer, places: tuple[str, ...]) -> Scaffold:
    known = _SCAFFOLDS.setdefault(tokenizer, {})
    template = repr(tokenizer.chat_template)
    if (template, places) not in known:
        known[template, places] = Scaffold(_prompt_text(tokenizer, places), places)
    return known[template, places]


def _name(tokenizer: Tokenizer) -> str:
    return str(getattr(tokenizer, "name_or_path", "") or "the model")


def canary_hash(tokenizer: Tokenizer, system_prompt: str | None) -> str:
    """Hash of the token ids of fixed prompts: equal hashes mean prompts are built alike."""
    rendered = [render_prompt(tokenizer, problem, system_prompt) for problem in CANARY_PROBLEMS]
    return hashlib.sha256(repr(rendered).encode()).hexdigest()
