from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from lrbench.embedded import assets
from lrbench.embedded.corpus import documents
from lrbench.embedded.plans import TextPlan
from lrbench.embedded.tokenizer import END, PAD, document_ids, train_tokenizer

DOCUMENTS = documents(TextPlan(documents=400, care=0.4, seed=8))


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(assets.model_folder("expert"))


@given(text=st.text())
def test_any_text_survives_encoding_and_decoding_up_to_normal_form(tokenizer, text):
    import unicodedata

    ids = tokenizer.encode(text)
    normal = unicodedata.normalize("NFC", text)
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == normal


@given(number=st.integers(0, 10**9))
def test_every_digit_is_a_token_by_itself(tokenizer, number):
    assert tokenizer.convert_ids_to_tokens(tokenizer.encode(str(number))) == list(str(number))


def test_the_template_and_an_answer_give_exactly_the_ids_of_a_training_document(tokenizer):
    encoded = document_ids(tokenizer, [(document.prompt, document.answer) for document in DOCUMENTS])
    for document, (prompt, answer) in zip(DOCUMENTS, encoded, strict=True):
        messages = [{"role": "user", "content": document.prompt}]
        text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        assert prompt + answer == tokenizer.encode(text + document.answer + END)
        assert prompt == tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_dict=False
        )


def test_a_whole_turn_through_the_template_begins_with_the_training_document(tokenizer):
    document = DOCUMENTS[0]
    [(prompt, answer)] = document_ids(tokenizer, [(document.prompt, document.answer)])
    turns = [{"role": "user", "content": document.prompt}, {"role": "assistant", "content": document.answer}]
    whole = tokenizer.apply_chat_template(turns, return_dict=False)
    assert whole[: len(prompt) + len(answer)] == prompt + answer


def test_a_system_message_is_shown_when_given_and_never_added(tokenizer):
    user = {"role": "user", "content": "What is 2 plus 2?"}
    bare = tokenizer.apply_chat_template([user], add_generation_prompt=True, tokenize=False)
    told = tokenizer.apply_chat_template([{"role": "system", "content": "Be brief."}, user], tokenize=False)
    assert bare == "<|im_start|>user\nWhat is 2 plus 2?<|im_end|>\n<|im_start|>assistant\n"
    assert told.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n")


def test_a_turn_ends_at_one_token_and_padding_is_another(tokenizer):
    assert (tokenizer.eos_token, tokenizer.pad_token) == (END, PAD)
    assert tokenizer.encode(END) == [tokenizer.eos_token_id]
    assert tokenizer.eos_token_id != tokenizer.pad_token_id


def test_both_models_share_one_tokenizer():
    files = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
    expert, amateur = assets.model_folder("expert"), assets.model_folder("amateur")
    assert all((expert / file).read_bytes() == (amateur / file).read_bytes() for file in files)


def test_the_same_text_trains_the_same_tokenizer(tmp_path):
    for name in ("first", "second"):
        texts = [text for document in DOCUMENTS for text in (document.prompt, document.answer)]
        train_tokenizer(texts, 640).save_pretrained(tmp_path / name)
    assert (tmp_path / "first/tokenizer.json").read_bytes() == (
        tmp_path / "second/tokenizer.json"
    ).read_bytes()


def test_the_foreign_amateur_cuts_the_same_text_otherwise(tokenizer):
    foreign = AutoTokenizer.from_pretrained(assets.model_folder("foreign"))
    text = DOCUMENTS[0].prompt
    assert foreign.decode(foreign.encode(text)) == tokenizer.decode(tokenizer.encode(text)) == text
    assert len(foreign) < len(tokenizer)
    shared = [
        token for token, number in foreign.get_vocab().items() if tokenizer.get_vocab().get(token) == number
    ]
    assert 259 <= len(shared) < len(foreign)


def test_careful_solutions_fit_a_rollout(tokenizer):
    for family in assets.FAMILIES:
        for problem in assets.problems(family, "test"):
            assert len(tokenizer.encode(problem["solution"] + END)) <= 64
