"""Chat templates are programs of strangers: however one goes wrong, it is one refusal in bounded time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from lrbench.errors import ModelError
from lrbench.models.loading import load_tokenizer
from lrbench.models.prompt import check_prompts, render_prompt
from lrbench.models.source import locate
from lrbench.models.template import FIRST, SECOND, Conversation, check_shown, render_conversations
from lrbench.models.turn_marks import turn_marks
from lrbench.recipe.schema import ModelReference
from lrbench.store.keys import FileHashes
from tests.chatting import CHATML, CHATS, save_chat

SHOWN = "{% for m in messages %}{{ m.content }}{% endfor %}"
NOT_WHOLE = [
    "",
    "What is the answer?",
    "{{ messages }}",
    "{{ messages[0].role }}",
    "{{ messages[0].content[:200] }}",
    "{{ messages[0].content | upper }}",
    "{{ messages[0].content | e }}",
    "{{ messages[0].content | replace('\\n', ' ') }}",
    "{{ messages[0].content | truncate(100) }}",
    "{{ messages[0].content[0].text }}",
    "{% for m in messages %}{% if m.role == 'human' %}{{ m.content }}{% endif %}{% endfor %}",
    "{% if 'Sum' in messages[0].content %}{{ messages[0].content }}{% else %}x{% endif %}",
]
RAISING = {
    "{{ 1 // 0 }}": "ZeroDivisionError",
    "{{ messages.no.one }}": "UndefinedError",
    "{{ messages + 1 }}": "TypeError",
    "{{ 10.0 ** 400 }}": "OverflowError",
    "{% for m in messages %}": "TemplateSyntaxError",
    "{{ 'x' | nothing }}": "No filter named 'nothing'",
    "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}": "RecursionError",
    "{{ 'x' * 10**10 }}": "MemoryError",
    "{{ ('x' * 10**6) }}": "1,000,000 characters",
    "{{ messages.append(1) }}": "SecurityError",
    "{{ ''.__class__.__mro__ }}": "SecurityError",
    "{% include 'other' %}": "TypeError",
    "{% import 'other' as o %}": "TypeError",
    "{{ range(10**9) | list }}": "OverflowError",
    "{{ [1, 2, 3] | random }}": "draws at random",
    "{{ lipsum() }}": "draws at random",
    "{{ '\x1b]0;title\x07' | nothing }}": "No filter named",
    "(" * 3 + "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}": "",
}
ENDLESS = [
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{{ 10 ** (10 ** 9) }}",
    "{% set n = namespace(x='x') %}{% for a in range(99999) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "{% for a in messages recursive %}{{ loop(messages) }}{{ loop(messages) }}{% endfor %}",
]


def refusal(template: str) -> str:
    """What is said of a model with this template."""

    def tried() -> None:
        asked = (Conversation((("user", FIRST),)), Conversation((("user", SECOND),)))
        first, second = render_conversations("models/it", template, {}, asked)
        check_shown("models/it", {FIRST: first, SECOND: second})

    with pytest.raises(ModelError) as caught:
        tried()
    message = str(caught.value)
    assert message.startswith("models/it: ")
    assert "mend the template in a copy of the model's folder, or use another model" in message
    assert message.isprintable()
    return message


@pytest.mark.parametrize("template", NOT_WHOLE)
def test_a_template_that_does_not_show_the_problem_as_it_stands_is_refused(template: str) -> None:
    assert "chat template" in refusal(template)


@pytest.mark.parametrize(("template", "reason"), RAISING.items())
def test_whatever_a_template_raises_is_one_refusal(template: str, reason: str) -> None:
    assert reason in refusal(template)


@pytest.mark.parametrize("template", ENDLESS)
def test_a_template_without_an_end_is_stopped(template: str) -> None:
    refusal(template + SHOWN)


@pytest.mark.parametrize("template", [SHOWN, "{{ messages[0].content | trim }}", CHATML])
def test_white_space_around_a_problem_may_be_left_out(tmp_path: Path, template: str) -> None:
    save_chat(replace(CHATS["qwen"], template=template), tmp_path)
    model = locate(ModelReference(model=str(tmp_path)), FileHashes())
    check_prompts("it", load_tokenizer(model), [None])
    assert render_prompt(load_tokenizer(model), "  What is 2 + 3?\n", None)


def test_a_template_that_differs_from_process_to_process_is_refused(tmp_path: Path) -> None:
    save_chat(replace(CHATS["qwen"], template=SHOWN + "{{ cycler('a') }}"), tmp_path)
    tokenizer = load_tokenizer(locate(ModelReference(model=str(tmp_path)), FileHashes()))
    with pytest.raises(ModelError, match="does not render the same messages the same way twice"):
        check_prompts("it", tokenizer, [None])


def test_a_system_prompt_that_a_template_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    save_chat(CHATS["gemma"], tmp_path)
    tokenizer = load_tokenizer(locate(ModelReference(model=str(tmp_path)), FileHashes()))
    check_prompts("it", tokenizer, [None])
    with pytest.raises(ModelError, match="refuses a prompt with a system prompt: System role not supported"):
        check_prompts("it", tokenizer, ["Think."])


def test_a_problem_that_its_template_hides_is_refused_when_it_is_met(tmp_path: Path) -> None:
    hiding = "{% if 'train' not in messages[0].content %}" + SHOWN + "{% endif %}"
    save_chat(replace(CHATS["qwen"], template=hiding), tmp_path)
    tokenizer = load_tokenizer(locate(ModelReference(model=str(tmp_path)), FileHashes()))
    assert render_prompt(tokenizer, "What is 2 + 3?", None)
    with pytest.raises(ModelError, match="does not show the model the problem"):
        render_prompt(tokenizer, "A train goes 60 km.", None)


def test_a_model_is_refused_before_its_weights_are_needed(tmp_path: Path) -> None:
    save_chat(replace(CHATS["qwen"], template="What is 2 + 3?"), tmp_path)
    with pytest.raises(ModelError, match="does not show the model the problem"):
        turn_marks(locate(ModelReference(model=str(tmp_path)), FileHashes()))


TALK = (("system", " Be brief. "), ("user", "What?\n"), ("assistant", "<b>Five</b>"), ("user", "Why?"))
FEATURES = """
{%- set ns = namespace(count=0) -%}
{% for m in messages %}
    {%- if m.role == 'assistant' %}{% generation %}{{ m.content | trim }}{% endgeneration %}
    {% continue %}{% endif %}
    {% set ns.count = ns.count + 1 %}
  {{ m.content | tojson }}{{ bos_token }}{{ '\\n' }}
{% endfor %}
{{ ns.count }}{{ strftime_now('%d %b %Y') }}{{ tools is none }}{{ documents is none }}{{ nothing }}
{% if add_generation_prompt %}asked{% endif %}
"""


@pytest.mark.parametrize(
    "template", [CHATML, FEATURES, *(chat.template for chat in CHATS.values() if chat.template)]
)
@pytest.mark.parametrize("prompt", [True, False])
def test_what_is_rendered_apart_is_what_transformers_renders(template: str, prompt: bool) -> None:
    from lrbench.models.template_process import FIXED_DATE

    messages: list[Any] = [{"role": role, "content": content} for role, content in TALK]
    if "raise_exception" in template:
        messages = messages[1:]
    asked = Conversation(tuple((m["role"], m["content"]) for m in messages), prompt)
    (found,) = render_conversations("it", template, {"bos_token": "<s>"}, [asked])
    (expected,), _ = render_jinja_template(
        [messages],
        chat_template=template,
        add_generation_prompt=prompt,
        bos_token="<s>",
        strftime_now=FIXED_DATE.strftime,
    )
    assert found.text == expected
