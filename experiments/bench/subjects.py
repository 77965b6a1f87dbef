"""What is measured: a pair of models and prompts for them, real or of real shapes with random weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

from lrbench.errors import UserError
from lrbench.models.loading import Model, reading_rows_at_once
from lrbench.models.prompt import render_prompt
from lrbench.models.source import locate
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.loading import load_recipe
from lrbench.recipe.schema import Lora
from lrbench.sampling.engines.base import TokenRules
from lrbench.sampling.engines.transformers import TransformersEngine
from lrbench.sampling.problems import load_problems
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.scoring import LoadedPair
from lrbench.store.keys import FileHashes

QUICKSTART = Path(__file__).parents[2] / "recipes" / "quickstart.yaml"
# The tokens of Qwen2.5's tokenizer; its models are padded to more output rows, and not all to the same.
QWEN_TOKENS = 151_665
# A trained model's logits are about as far apart: two or three tokens of a step reach a fifth of the best.
LOGIT_SPREAD = 8.0
INITIALIZER = 0.1
# Lengths of grade-school problems with a chat template around them.
PROMPT_LENGTHS = (60, 120)


@dataclass(frozen=True)
class Shape:
    """The architecture of a Qwen2 model."""

    output_rows: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_value_heads: int
    tied: bool = True


@dataclass(frozen=True)
class RandomPair:
    """Two shapes, the device and dtype they run in, and how much of them is measured."""

    expert: Shape
    amateur: Shape
    tokens: int
    device: str
    dtype: str
    prompts: int
    batch_size: int
    new_tokens: int = 128


SMALL = RandomPair(
    expert=Shape(152_064, hidden=256, intermediate=1024, layers=20, heads=4, key_value_heads=2),
    amateur=Shape(151_936, hidden=128, intermediate=512, layers=10, heads=2, key_value_heads=1),
    tokens=QWEN_TOKENS,
    device="cpu",
    dtype="float32",
    prompts=16,
    batch_size=16,
)
H200 = RandomPair(
    expert=Shape(151_936, hidden=1536, intermediate=8960, layers=28, heads=12, key_value_heads=2),
    amateur=Shape(151_936, hidden=896, intermediate=4864, layers=24, heads=14, key_value_heads=2),
    tokens=QWEN_TOKENS,
    device="cuda",
    dtype="bfloat16",
    prompts=1000,
    batch_size=256,
)


@dataclass(frozen=True)
class Subject:
    """A pair in memory, prompts, and how completions of them are written."""

    pair: LoadedPair
    rules: TokenRules
    prompts: Sequence[tuple[int, ...]]
    new_tokens: int
    batch_size: int
    lora: Lora

    def complete(self) -> list[tuple[int, ...]]:
        """Greedy completions of all prompts."""
        engine = TransformersEngine(self.pair.expert, self.rules, self.batch_size)
        return engine.complete(self.prompts, self.new_tokens)

    @cached_property
    def rollouts(self) -> list[Rollout]:
        """The prompts with their completions, written once."""
        return self.written()

    def written(self) -> list[Rollout]:
        """The prompts with their completions, written now."""
        return [
            Rollout(f"prompt-{index}", 0, prompt, completion)
            for index, (prompt, completion) in enumerate(zip(self.prompts, self.complete(), strict=True))
        ]

    def first(self, prompts: int) -> Subject:
        """The same models with the first few prompts only."""
        return replace(self, prompts=self.prompts[:prompts])


def embedded(problems: int) -> tuple[Workspace, Subject]:
    """The pair of the quickstart with its own problems, and the workspace it lives in."""
    recipe = load_recipe(QUICKSTART, [f"data.problems={problems}"])
    assert recipe.pair.amateur is not None
    hashes = FileHashes()
    workspace = Workspace(
        locate(recipe.pair.expert, hashes), locate(recipe.pair.amateur, hashes), recipe.runtime
    )
    return workspace, Subject(
        workspace.pair.loaded,
        workspace.expert.token_rules,
        [
            tuple(render_prompt(workspace.expert.tokenizer, text, None))
            for text in load_problems(recipe.data).texts
        ],
        recipe.sampling.max_new_tokens,
        workspace.runtime.batch_size,
        recipe.training.lora,
    )


def to_the_end(subject: Subject) -> Subject:
    """The same, but completions go on after stop tokens, so that all have the full length."""
    return replace(subject, rules=replace(subject.rules, stop_ids=()))


def random_pair(declared: RandomPair) -> Subject:
    """Models of the declared shapes with random weights, whose completions all have the full length.

    Raises `UserError` when they are for a GPU and there is none.
    """
    if declared.device == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "these models are for a GPU, and no CUDA device is visible here; measure the size `small` instead"
        )
    lengths = np.random.default_rng(0).integers(*PROMPT_LENGTHS, size=declared.prompts)
    ids = np.random.default_rng(1)
    return Subject(
        LoadedPair(
            random_model(declared.expert, declared, seed=0),
            random_model(declared.amateur, declared, seed=1),
            SharedVocabulary(declared.tokens, unused=(), identity="random"),
        ),
        TokenRules(
            stop_ids=(),
            no_tokens=tuple(range(declared.tokens, declared.expert.output_rows)),
            context=PROMPT_LENGTHS[1] + declared.new_tokens,
            rows=declared.expert.output_rows,
        ),
        [tuple(ids.integers(declared.tokens, size=length).tolist()) for length in lengths],
        declared.new_tokens,
        declared.batch_size,
        Lora(),
    )


def random_model(shape: Shape, declared: RandomPair, seed: int) -> Model:
    """A Qwen2 model whose distributions are about as peaked as those of a trained one."""
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=shape.output_rows,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        max_position_embeddings=PROMPT_LENGTHS[1] + declared.new_tokens,
        tie_word_embeddings=shape.tied,
        initializer_range=INITIALIZER,
    )
    with torch.device(declared.device):
        model: Any = Qwen2ForCausalLM(config)
    torch.nn.init.constant_(model.model.norm.weight, LOGIT_SPREAD / (INITIALIZER * shape.hidden**0.5))
    model.generation_config = GenerationConfig()
    model = model.to(getattr(torch, declared.dtype)).requires_grad_(False).eval()
    return reading_rows_at_once(model)
