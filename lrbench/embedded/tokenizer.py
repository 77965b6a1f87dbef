"""The embedded tokenizer: a small Qwen2 tokenizer (byte-level BPE, every digit by itself) with ChatML."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import Qwen2Tokenizer

PAD = "<|endoftext|>"
START = "<|im_start|>"
END = "<|im_end|>"
LONGEST = 512

# Unlike Qwen's own, it adds no system message that nobody wrote.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}"
    "{{- '<|im_start|>assistant\\n' -}}"
    "{%- endif -%}"
)


def train_tokenizer(texts: Iterable[str], size: int) -> Qwen2Tokenizer:
    """A tokenizer of `size` tokens; the same texts in the same order give the same one.

    Args:
        texts: text without special tokens.
        size: at least the 256 bytes and the three special tokens.
    """
    # The class cuts text into pieces in its own way whatever its file says, so merges are learnt on that.
    qwen = Qwen2Tokenizer().backend_tokenizer
    learner = Tokenizer(models.BPE())
    learner.normalizer = qwen.normalizer
    learner.pre_tokenizer = qwen.pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[PAD, START, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    merges = [tuple(pair) for pair in _model_of(learner)["merges"]]
    return Qwen2Tokenizer(
        vocab=learner.get_vocab(),
        merges=merges,
        unk_token=None,
        eos_token=END,
        pad_token=PAD,
        extra_special_tokens=[START],
        chat_template=CHAT_TEMPLATE,
        model_max_length=LONGEST,
        padding_side="left",
    )


def document_ids(
    tokenizer: Qwen2Tokenizer, documents: Sequence[tuple[str, str]]
) -> list[tuple[list[int], list[int]]]:
    """Token ids of every templated prompt, and of its answer with the end of turn."""
    asked = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=False
        )
        for prompt, _ in documents
    ]
    answered = [answer + END for _, answer in documents]
    prompts, answers = (
        tokenizer(texts, add_special_tokens=False)["input_ids"] for texts in (asked, answered)
    )
    return list(zip(prompts, answers, strict=True))


def _model_of(tokenizer: Tokenizer) -> dict[str, list[list[str]]]:
    return json.loads(tokenizer.to_str())["model"]  # type: ignore[no-any-return]
