"""Other people's ways to do the same: TRL's trainer, and transformers' continuous batching."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from copy import deepcopy
from importlib.util import find_spec
from typing import Any

import torch
from peft import LoraConfig
from transformers import ContinuousBatchingConfig, GenerationConfig, PrinterCallback

from experiments.bench.bare import PADDING_ID
from experiments.bench.fine_tuning import SETTINGS, our_update
from experiments.bench.measuring import Comparison, Figure, Line, in_turn
from experiments.bench.subjects import Subject
from lrbench.models.loading import Tokenizer
from lrbench.sampling.rollouts import Rollout

TRL = "trl==1.16.0"
# Tokens of a page of the cache, and how many pages and tokens of a forward there are at most.
PAGE, PAGES, TOKENS = 32, 400, 512


def against_trl(
    name: str, subject: Subject, tokenizer: Tokenizer, rollouts: Sequence[Rollout], updates: int, runs: int
) -> Line:
    """P9: updates over all completion tokens, against TRL's `SFTTrainer` where it is installed."""
    title = f"SFT, {name}, {updates} updates of {len(rollouts)} rollouts: ours, against TRL"
    if find_spec("trl") is None:
        return Figure(f"{title} (pip install --no-deps '{TRL}' first)", [])
    update = our_update(subject, rollouts)
    return in_turn(
        title,
        lambda: [update() for _ in range(updates)],
        trl_updates(subject, tokenizer, rollouts, updates),
        "at least 1",
        runs,
    )


def trl_updates(
    subject: Subject, tokenizer: Tokenizer, rollouts: Sequence[Rollout], updates: int
) -> Callable[[], float]:
    """So many updates by TRL's trainer, on labels of completions alone; gives their mean loss."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    logging.getLogger("transformers").setLevel(logging.ERROR)
    rows = [
        {
            "input_ids": list(rollout.token_ids),
            "labels": [-100] * len(rollout.prompt_ids) + list(rollout.completion_ids),
        }
        for rollout in rollouts
    ]
    lora = subject.lora
    cpu = subject.pair.expert.device.type == "cpu"
    trainer = SFTTrainer(
        model=deepcopy(subject.pair.expert),
        processing_class=tokenizer,
        train_dataset=Dataset.from_list(rows),
        peft_config=LoraConfig(
            r=lora.r,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=list(lora.target_modules),
            task_type="CAUSAL_LM",
        ),
        args=SFTConfig(
            # Nothing is saved.
            output_dir=tempfile.gettempdir(),
            max_steps=updates,
            per_device_train_batch_size=len(rollouts),
            learning_rate=SETTINGS.learning_rate,
            weight_decay=SETTINGS.weight_decay,
            max_grad_norm=SETTINGS.max_gradient_norm,
            max_length=None,
            packing=False,
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=cpu,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        ),
    )

    # What it prints would stand in the middle of a table.
    trainer.remove_callback(PrinterCallback)

    def train() -> float:
        loss: float = trainer.train().training_loss
        return loss

    return train


def against_continuous(name: str, subject: Subject, runs: int) -> Comparison:
    """P10: answers by our engine, against transformers' continuous batching, which has one queue too."""
    continuous = continuous_batching(subject)
    tokens: dict[str, int] = {}

    def ours() -> None:
        tokens["ours"] = sum(map(len, subject.complete()))

    def other() -> None:
        tokens["other"] = sum(map(len, continuous()))

    found = in_turn(f"answers, {name}: ours, against continuous batching", ours, other, "at least 1", runs)
    assert tokens["ours"] == tokens["other"], f"work of different size was compared: {tokens}"
    return found


def continuous_batching(subject: Subject) -> Callable[[], list[tuple[int, ...]]]:
    """Greedy completions of all prompts by `generate_batch`, as many rows at once as our engine writes."""
    # It changes how the model attends.
    model: Any = deepcopy(subject.pair.expert)
    settings = ContinuousBatchingConfig(
        page_size=PAGE, num_blocks=PAGES, max_batch_tokens=TOKENS, max_requests_per_batch=subject.batch_size
    )
    generation = GenerationConfig(
        max_new_tokens=subject.new_tokens,
        do_sample=False,
        eos_token_id=list(subject.rules.stop_ids) or -1,
        pad_token_id=PADDING_ID,
        suppress_tokens=list(subject.rules.no_tokens) or None,
    )

    @torch.no_grad()
    def complete() -> list[tuple[int, ...]]:
        found = model.generate_batch(
            inputs=[list(prompt) for prompt in subject.prompts],
            generation_config=generation,
            continuous_batching_config=settings,
        )
        return [tuple(output.generated_tokens) for output in found.values()]

    return complete
