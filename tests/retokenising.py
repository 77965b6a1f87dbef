"""The same model behind another tokenizer: tokens renumbered, removed or renamed, weights moved along."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

EMBEDDING = "model.embed_tokens.weight"
TEXTS = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def retokenised(source: Path, target: Path, order: Sequence[int], **renamed: str) -> Path:
    """Write to `target` the model of `source` with the token `order[i]` as its token i, and no others.

    `renamed` gives special tokens, without their `<|` and `|>`, other names.
    """
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(source, target)
    new_id = {old: new for new, old in enumerate(order)}
    tokenizer = json.loads((target / "tokenizer.json").read_text())
    model = tokenizer["model"]
    model["vocab"] = {token: new_id[old] for token, old in model["vocab"].items() if old in new_id}
    model["merges"] = [
        [left, right]
        for left, right in model["merges"]
        if {left, right, left + right} <= model["vocab"].keys()
    ]
    for added in tokenizer["added_tokens"]:
        added["id"] = new_id[added["id"]]
    (target / "tokenizer.json").write_text(json.dumps(tokenizer))
    for name in TEXTS:
        text = (target / name).read_text()
        for before, after in renamed.items():
            text = text.replace(f"<|{before}|>", f"<|{after}|>")
        (target / name).write_text(text)
    weights = load_file(target / "model.safetensors")
    weights[EMBEDDING] = weights[EMBEDDING][torch.tensor(order)].contiguous()
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((target / "config.json").read_text())
    (target / "config.json").write_text(
        json.dumps(config | {"vocab_size": len(order), "eos_token_id": None, "pad_token_id": None})
    )
    return target
