"""What ends a turn is what the template, the tokenizer and the generation settings say, all three."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrbench.errors import ModelError
from lrbench.models.loading import load_tokenizer
from lrbench.models.prompt import render_prompt
from lrbench.models.source import LocatedModel, locate
from lrbench.models.tokenizer_facts import facts_in_files, facts_of
from lrbench.models.turn_marks import check_loaded, turn_marks
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import ModelReference, Runtime
from lrbench.store.keys import FileHashes
from tests.chatting import CHATS, Chat, save_chat, turns

# What training puts behind an answer, and all that ends one.
ENDS = {
    "qwen": ("<|im_end|>", {"<|im_end|>", "<|endoftext|>"}),
    "qwen_base": ("<|im_end|>", {"<|im_end|>", "<|endoftext|>"}),
    # A class of tokenizers adds its own where nothing is said.
    "llama3": ("<|eot_id|>", {"<|eot_id|>", "<|end_of_text|>", "<|endoftext|>"}),
    "gemma": ("<end_of_turn>", {"<end_of_turn>", "<eos>"}),
    "phi": ("<|end|>", {"<|end|>", "<|endoftext|>"}),
    "mistral": ("</s>", {"</s>"}),
    "deepseek": ("<|end▁of▁sentence|>", {"<|end▁of▁sentence|>"}),
    "bare_base": ("</s>", {"</s>"}),
}
# Those for which nothing is other than it was before templates were asked.
AS_BEFORE = {"qwen", "qwen_base", "mistral", "deepseek"}


def located(folder: Path) -> LocatedModel:
    return locate(ModelReference(model=str(folder)), FileHashes())


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("chats")

    def of(kind: str) -> Path:
        return root / kind if (root / kind).exists() else save_chat(CHATS[kind], root / kind)

    return of


@pytest.mark.parametrize("kind", CHATS)
def test_every_kind_of_chat_ends_where_its_template_ends_a_turn(
    folder_of: Callable[[str], Path], kind: str
) -> None:
    workspace = Workspace(located(folder_of(kind)), None, Runtime(device="cpu"))
    end, stops = ENDS[kind]
    tokens = workspace.expert.tokenizer.convert_ids_to_tokens
    assert set(tokens(list(workspace.expert.token_rules.stop_ids))) == stops
    marks = workspace.expert.turn_marks
    assert marks.end is not None
    assert tokens(marks.end) == end
    assert marks.text.startswith(f"{end} ({marks.end})")
    unchanged = {} == marks.writing == marks.ending
    assert unchanged == (kind in AS_BEFORE)


@pytest.mark.parametrize("kind", CHATS)
def test_files_and_the_loaded_tokenizer_say_the_same(folder_of: Callable[[str], Path], kind: str) -> None:
    model = located(folder_of(kind))
    tokenizer = load_tokenizer(model)
    read = facts_in_files(model.folder)
    assert (read is None) == (CHATS[kind].template is None or not CHATS[kind].says_all)
    assert read is None or read == replace(facts_of(tokenizer, "it"), named=read.named)
    check_loaded(model, tokenizer)


def test_a_tokenizer_that_loads_otherwise_than_its_files_read_is_refused(
    folder_of: Callable[[str], Path],
) -> None:
    model = located(folder_of("phi"))
    tokenizer = load_tokenizer(model)
    tokenizer.chat_template = tokenizer.chat_template.replace("<|end|>", "<|system|>")
    with pytest.raises(ModelError, match="disagree about what ends a turn"):
        check_loaded(model, tokenizer)


def test_a_mark_that_comes_only_between_turns_ends_one(tmp_path: Path) -> None:
    template = (
        "{% for message in messages %}<|user|>{{ message.content }}"
        "{% if not loop.last %}<|end|>{% endif %}{% endfor %}"
    )
    folder = save_chat(Chat(("<eos>", "<|user|>", "<|end|>"), template, "<eos>"), tmp_path / "it")
    assert turn_marks(located(folder)).stops == (0, 2)


@pytest.mark.parametrize("listed", [4, [1, 4]])
def test_generation_settings_say_what_else_ends_a_turn(tmp_path: Path, listed: Any) -> None:
    save_chat(CHATS["bare_base"], tmp_path, {"eos_token_id": listed, "do_sample": True})
    marks = turn_marks(located(tmp_path))
    assert (marks.stops, marks.end) == ((1, 4), 1)
    assert marks.writing["stops"] == [1, 4]


def test_an_id_that_is_never_written_ends_nothing(tmp_path: Path) -> None:
    save_chat(CHATS["mistral"], tmp_path, {"eos_token_id": [2, 100_000]})
    assert turn_marks(located(tmp_path)).stops == (2,)


@pytest.mark.parametrize("listed", ["</s>", True, -1, 2.5, [[2]], {"id": 2}])
def test_generation_settings_that_name_no_token_are_refused(tmp_path: Path, listed: Any) -> None:
    save_chat(CHATS["mistral"], tmp_path, {"eos_token_id": listed})
    with pytest.raises(ModelError, match="has to be a token id or a list of them, found"):
        turn_marks(located(tmp_path))


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000])
def test_generation_settings_that_are_no_object_are_refused(tmp_path: Path, text: str) -> None:
    save_chat(CHATS["mistral"], tmp_path)
    (tmp_path / "generation_config.json").write_text(text)
    with pytest.raises(ModelError, match=r"generation_config.json cannot be read as JSON: "):
        turn_marks(located(tmp_path))


def test_marks_that_are_no_tokens_are_told(tmp_path: Path) -> None:
    plain = turns("### User: {}\n", "### Answer: {}<|im_end|>\n", "### Answer: ")
    marks = turn_marks(located(save_chat(Chat(("<s>", "</s>"), plain, "</s>", "<s>"), tmp_path / "template")))
    assert marks.stops == (1,)
    assert "no token of it follows an answer in its chat template (<|im_end|> is plain" in marks.remarks[0]
    bare = turn_marks(located(save_chat(CHATS["bare_base"], tmp_path / "bare")))
    assert "marks <|im_start|> and <|im_end|> are no tokens of it" in bare.remarks[0]


@pytest.mark.parametrize(
    ("kind", "expected"), [("bare_base", 0), ("llama3", 0), ("gemma", 2), ("mistral", 1)]
)
def test_what_a_tokenizer_begins_texts_with_stands_first_and_once(
    folder_of: Callable[[str], Path], kind: str, expected: int
) -> None:
    ids = render_prompt(load_tokenizer(located(folder_of(kind))), "What is 2 + 3?", None)
    assert ids[0] == expected
    assert ids.count(expected) == 1


@pytest.mark.parametrize(
    ("template", "system"),
    [
        (CHATS["qwen"].template, "shown"),
        (CHATS["gemma"].template, "refused"),
        ("{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}", "ignored"),
    ],
)
def test_it_is_known_what_becomes_of_a_system_prompt(tmp_path: Path, template: str, system: str) -> None:
    save_chat(replace(CHATS["qwen"], template=template), tmp_path)
    assert turn_marks(located(tmp_path)).system == system


def test_of_several_templates_the_default_counts(tmp_path: Path) -> None:
    save_chat(replace(CHATS["phi"], template=None), tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    named = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": CHATS["phi"].template}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": named}))
    assert turn_marks(located(tmp_path)).stops == (0, 4)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": named[:1]}))
    with pytest.raises(
        ModelError, match=r"several chat templates \(tool_use\) and none called default; name"
    ):
        turn_marks(located(tmp_path))
