"""What users write stays text, however it is spelt; ordinary prompts are encoded as they ever were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from lrbench.embedded.assets import model_folder
from lrbench.errors import ModelError
from lrbench.models.prompt import render_answer, render_prompt
from tests.chatting import CHATS, save_chat

KINDS = [kind for kind in CHATS if kind != "bare_base"]
WIDE = str.maketrans({letter: chr(ord(letter) + 0xFEE0) for letter in "<|>_im"})


@pytest.fixture(scope="module")
def tokenizer_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    root = tmp_path_factory.mktemp("chats")
    known: dict[str, Any] = {"embedded": AutoTokenizer.from_pretrained(model_folder("expert"))}

    def of(kind: str) -> Any:
        if kind not in known:
            known[kind] = AutoTokenizer.from_pretrained(save_chat(CHATS[kind], root / kind, merges=40))
        return known[kind]

    return of


def as_ever(tokenizer: Any, problem: str, system_prompt: str | None) -> list[int]:
    """The prompt as transformers builds it."""
    messages = [{"role": "system", "content": system_prompt}] if system_prompt is not None else []
    messages.append({"role": "user", "content": problem})
    ids: list[int] = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    return ids


def marks_of(tokenizer: Any, ids: list[int]) -> list[int]:
    """The added tokens among `ids`."""
    return [index for index in ids if index in tokenizer.added_tokens_decoder]


TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.text("ab<|_>im\n s1$\\")


@pytest.mark.parametrize("kind", ["embedded", *KINDS])
@settings(max_examples=60)
@given(problem=TEXTS, system_prompt=st.none() | TEXTS)
def test_ordinary_texts_are_encoded_as_ever(
    tokenizer_of: Callable[[str], Any], kind: str, problem: str, system_prompt: str | None
) -> None:
    tokenizer = tokenizer_of(kind)
    system_prompt = None if kind in ("gemma", "mistral") else system_prompt
    marks = [str(token) for token in tokenizer.added_tokens_decoder.values()]
    # What spells a control token is no ordinary text.
    assume(not any(mark in text for mark in marks for text in (problem, system_prompt or "")))
    ids = render_prompt(tokenizer, problem, system_prompt)
    assert ids == as_ever(tokenizer, problem, system_prompt)
    assert render_answer(tokenizer, problem) == tokenizer.encode(problem, add_special_tokens=False)


@pytest.mark.parametrize("kind", ["embedded", *KINDS])
@settings(max_examples=30)
@given(data=st.data())
def test_no_text_becomes_a_control_token(tokenizer_of: Callable[[str], Any], kind: str, data: Any) -> None:
    tokenizer = tokenizer_of(kind)
    marks = [str(token) for token in tokenizer.added_tokens_decoder.values()]
    pieces = data.draw(st.lists(TEXTS | st.sampled_from(marks), min_size=1, max_size=6))
    problem = "".join(pieces)
    system = None if kind in ("gemma", "mistral") else data.draw(st.sampled_from([None, "Think.", marks[0]]))
    ids = render_prompt(tokenizer, problem, system)
    plain = as_ever(tokenizer, "x", None if system is None else "y")
    assert marks_of(tokenizer, ids) == marks_of(tokenizer, plain)
    answer = render_answer(tokenizer, problem)
    assert not marks_of(tokenizer, answer)
    for encoded in (ids, answer):
        read = tokenizer.decode(encoded, clean_up_tokenization_spaces=False)
        # Qwen's tokenizers write letters and their accents as one.
        assert normalize("NFC", problem) in normalize("NFC", read)


def test_a_mark_in_a_problem_is_spelt_out(tokenizer_of: Callable[[str], Any]) -> None:
    tokenizer = tokenizer_of("embedded")
    ids = render_prompt(tokenizer, "Say <|im_end|>", None)
    (before, mark, after) = (
        tokenizer.encode(text) for text in ("<|im_start|>user\nSay ", "<|im", "<|im_end|>\n")
    )
    assert ids[: len(before) - 1] == before[:-1]
    assert ids.count(2) == 1
    assert mark[0] in ids
    assert ids[-len(tokenizer.encode("<|im_start|>assistant\n")) - len(after) :][: len(after)] == after


def test_a_look_alike_that_a_normal_form_makes_a_mark_stays_text() -> None:
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE({letter: index for index, letter in enumerate(letters)}, merges=[]))
    backend.normalizer = normalizers.NFKC()
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken("<|im_end|>", normalized=True, special=True)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token="<|im_end|>",
        chat_template="{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}",
    )
    alike = "<|im_end|>".translate(WIDE)
    assert tokenizer.encode(alike) == [256]
    ids = render_prompt(tokenizer, f"Say {alike}", None)
    assert ids.count(256) == 1
    assert tokenizer.decode(ids[:-1]) == "Say <|im_end|>"
    assert 256 not in render_answer(tokenizer, alike)


def test_a_text_that_can_only_be_read_as_a_mark_is_refused() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"[UNK]": 0, "[END]": 1, "a": 2}
    backend = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.add_special_tokens(["[UNK]", "[END]"])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="[UNK]",
        eos_token="[END]",
        chat_template="{% for m in messages %}{{ m.content }} [END] {% endfor %}",
    )
    assert render_prompt(tokenizer, "a b", None) == [2, 0, 1]
    with pytest.raises(
        ModelError, match=r"the text holds \[END\], which the model's tokenizer reads as a con"
    ):
        render_prompt(tokenizer, "a [END] a", None)
    with pytest.raises(ModelError, match=r"write it otherwise, or leave the text out"):
        render_answer(tokenizer, "[END]")


def test_code_points_that_stand_for_no_text_are_no_way_round(tokenizer_of: Callable[[str], Any]) -> None:
    tokenizer = tokenizer_of("phi")
    assert render_prompt(tokenizer, "\ufdd04\ufdd1", None) == as_ever(tokenizer, "\ufdd04\ufdd1", None)
    with pytest.raises(ModelError, match="cannot read as text"):
        render_prompt(tokenizer, "\ufdd04\ufdd1<|end|>", None)
