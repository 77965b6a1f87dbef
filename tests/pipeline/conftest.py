"""A pair small enough to run the whole pipeline in seconds: random weights, a real tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lrbench.recipe.schema import Recipe

if TYPE_CHECKING:
    from lrbench.pipeline.plan import ArmPlan

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def save_tokenizer(folder: Path) -> int:
    """A byte-level tokenizer without merges; returns its size."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocabulary = {token: index for index, token in enumerate([*specials, *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(specials)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=TEMPLATE,
    ).save_pretrained(folder)
    return len(vocabulary)


@pytest.fixture(scope="module", autouse=True)
def without_mlflow() -> Iterator[None]:
    """MLflow has tests of its own, and takes seconds to make a store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LRBENCH_MLFLOW", "off")
        yield


@pytest.fixture(scope="session")
def local_pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of a random expert and a random amateur."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    root = tmp_path_factory.mktemp("pair")
    folders = []
    for seed, name in enumerate(("expert", "amateur")):
        folder = root / name
        size = save_tokenizer(folder)
        torch.manual_seed(seed)
        config = Qwen2Config(
            vocab_size=size + 5,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            initializer_range=0.2,
        )
        Qwen2ForCausalLM(config).save_pretrained(folder)
        folders.append(folder)
    return folders[0], folders[1]


@pytest.fixture(scope="session")
def make_recipe(local_pair: tuple[Path, Path]) -> Callable[..., Recipe]:
    """Builds a recipe of the random pair; keyword arguments replace whole sections."""

    def build(**sections: Any) -> Recipe:
        expert, amateur = local_pair
        fields: dict[str, Any] = {
            "name": "tiny",
            "pair": {"expert": {"model": str(expert)}, "amateur": {"model": str(amateur)}},
            "data": {"train": "embedded/multi_step", "problems": 70},
            "divergence": {"beta": 0.1},
            "sampling": {"max_new_tokens": 12},
            "training": {"updates": 6, "rollouts_per_update": 8, "learning_rate": 1e-3},
            "arms": ["base", "lightr", "ground_truth"],
            "evaluation": {"suite": "embedded7", "benchmarks": ["one_step", "choice"], "limit": 3},
            "runtime": {"updates_between_saves": 2},
        }
        return Recipe.model_validate(fields | sections)

    return build


@pytest.fixture(scope="module")
def runs(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runs folder in which the module's `recipe` was run, and nothing failed."""
    from lrbench.pipeline.run import run_recipe

    folder = tmp_path_factory.mktemp("finished") / "runs"
    assert not run_recipe(recipe, folder).failures
    return folder


@pytest.fixture(scope="module")
def arms(recipe: Recipe, runs: Path) -> dict[str, ArmPlan]:
    """The plans of the module's `recipe`, by the arm's name."""
    from lrbench.pipeline.planning import plan_recipe

    return {arm.arm.name: arm for arm in plan_recipe(recipe, runs).arms}
