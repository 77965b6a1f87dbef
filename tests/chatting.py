"""Tiny models whose tokenizers and chat templates have the shapes of published ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Chat:
    """A kind of chat: special tokens in the order of their ids, which of them are named, and the template.

    One that does not say all leaves out which tokens it has none of, as many published ones do.
    """

    special: Sequence[str]
    template: str | None
    eos: str
    bos: str | None = None
    adds_bos: bool = False
    says_all: bool = True


def turns(user: str, assistant: str, ask: str, before: str = "", system: str = "") -> str:
    """A template of literal text; `{}` in a role's text is its content."""

    def written(text: str) -> str:
        left, right = text.split("{}")
        return f"{{{{ {left!r} + message.content + {right!r} }}}}"

    kinds = {"user": user, "assistant": assistant} | ({"system": system} if system else {})
    branches = "".join(
        f"{{% {'if' if not place else 'elif'} message.role == '{role}' %}}{written(text)}"
        for place, (role, text) in enumerate(kinds.items())
    )
    refusal = "" if system else "{% else %}{{ raise_exception('System role not supported') }}"
    asked = f"{{% if add_generation_prompt %}}{{{{ {ask!r} }}}}{{% endif %}}"
    return f"{before}{{% for message in messages %}}{branches}{refusal}{{% endif %}}{{% endfor %}}{asked}"


BOS = "{{ bos_token }}"
CHATML = turns(
    "<|im_start|>user\n{}<|im_end|>\n",
    "<|im_start|>assistant\n{}<|im_end|>\n",
    "<|im_start|>assistant\n",
    system="<|im_start|>system\n{}<|im_end|>\n",
)
CHATS = {
    "qwen": Chat(("<|endoftext|>", "<|im_start|>", "<|im_end|>"), CHATML, "<|im_end|>"),
    "qwen_base": Chat(("<|endoftext|>", "<|im_start|>", "<|im_end|>"), CHATML, "<|endoftext|>"),
    "llama3": Chat(
        ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        turns(
            "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>",
            "<|start_header_id|>assistant<|end_header_id|>\n\n{}<|eot_id|>",
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
            BOS,
            "<|start_header_id|>system<|end_header_id|>\n\n{}<|eot_id|>",
        ),
        "<|end_of_text|>",
        "<|begin_of_text|>",
        adds_bos=True,
        says_all=False,
    ),
    "gemma": Chat(
        ("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"),
        turns(
            "<start_of_turn>user\n{}<end_of_turn>\n",
            "<start_of_turn>model\n{}<end_of_turn>\n",
            "<start_of_turn>model\n",
            BOS,
        ),
        "<eos>",
        "<bos>",
        adds_bos=True,
    ),
    "phi": Chat(
        ("<|endoftext|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"),
        turns(
            "<|user|>\n{}<|end|>\n",
            "<|assistant|>\n{}<|end|>\n",
            "<|assistant|>\n",
            "",
            "<|system|>\n{}<|end|>\n",
        ),
        "<|endoftext|>",
    ),
    "mistral": Chat(
        ("<unk>", "<s>", "</s>", "[INST]", "[/INST]"),
        turns("[INST] {}[/INST]", " {}</s>", "", BOS),
        "</s>",
        "<s>",
        adds_bos=True,
    ),
    "deepseek": Chat(
        ("<|begin▁of▁sentence|>", "<|end▁of▁sentence|>", "<|User|>", "<|Assistant|>", "<think>"),
        turns("<|User|>{}", "<|Assistant|>{}<|end▁of▁sentence|>", "<|Assistant|><think>\n", BOS, "{}"),
        "<|end▁of▁sentence|>",
        "<|begin▁of▁sentence|>",
        adds_bos=True,
    ),
    "bare_base": Chat(("<s>", "</s>"), None, "</s>", "<s>", adds_bos=True),
}


def save_chat(chat: Chat, folder: Path, generation: dict[str, Any] | None = None, merges: int = 0) -> Path:
    """Write a model of random weights with a byte-level tokenizer that chats like `chat`."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pairs = [(first, second) for first in "abcdeis<|_" for second in "stnr<|>m"][:merges]
    words = [*chat.special, *letters, *("".join(pair) for pair in pairs)]
    backend = Tokenizer(models.BPE(vocab={word: index for index, word in enumerate(words)}, merges=pairs))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(list(chat.special))
    if chat.adds_bos:
        assert chat.bos is not None
        backend.post_processor = processors.TemplateProcessing(
            single=f"{chat.bos} $A", special_tokens=[(chat.bos, chat.special.index(chat.bos))]
        )
    names = {"bos_token": chat.bos, "eos_token": chat.eos}
    PreTrainedTokenizerFast(
        tokenizer_object=backend, chat_template=chat.template, **{k: v for k, v in names.items() if v}
    ).save_pretrained(folder)
    if chat.says_all:
        config = json.loads((folder / "tokenizer_config.json").read_text())
        said = dict.fromkeys(("bos_token", "unk_token", "pad_token")) | config
        (folder / "tokenizer_config.json").write_text(json.dumps(said))
    torch.manual_seed(0)
    shape = Qwen2Config(
        vocab_size=len(words) + 3,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
    )
    Qwen2ForCausalLM(shape).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if generation is not None:
        (folder / "generation_config.json").write_text(json.dumps(generation))
    return folder
