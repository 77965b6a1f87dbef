"""What the embedded pair writes together, and what it is worth."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lrbench.embedded.assets import FAMILIES, model_folder, problems
from lrbench.grading.extraction import blind_prediction
from lrbench.methods.answers import OWN, Answer, Force, Lead, Mix, Prefill, Vote
from lrbench.models.loading import load_model, load_tokenizer
from lrbench.models.prompt import render_answer, render_prompt, single_token
from lrbench.models.source import locate
from lrbench.models.turn_marks import turn_marks
from lrbench.models.vocabulary import own_vocabulary
from lrbench.recipe.schema import ModelReference
from lrbench.sampling.engines.answered import Answered, tally
from lrbench.sampling.engines.base import TokenRules
from lrbench.sampling.engines.given import GivenEngine
from lrbench.sampling.engines.lockstep import LockstepEngine
from lrbench.sampling.engines.transformers import TransformersEngine
from lrbench.sampling.engines.voting import write_answers
from lrbench.sampling.scoring import LoadedPair
from lrbench.store.keys import FileHashes
from tests.engines.test_mixtures import assert_is_the_target, remembered

CONTRAST = Mix(mix={"expert": 1.0, "amateur": -1.0}, alpha=0.2)
ITEMS = [problems(family, "test")[place] for family in FAMILIES for place in range(4)]
TOKENS = 60


class World:
    """The embedded models, and how they answer the first problems of every family."""

    def __init__(self) -> None:
        located = {
            name: locate(ModelReference(model=str(model_folder(name))), FileHashes())
            for name in ("expert", "amateur", "careful")
        }
        self.models: dict[str, Any] = {
            name: load_model(each, torch.device("cpu")) for name, each in located.items()
        }
        self.models[OWN] = self.models["expert"]
        self.tokenizer = load_tokenizer(located["expert"])
        rows = self.models["expert"].config.vocab_size
        self.vocabulary = own_vocabulary(self.tokenizer.get_vocab(), rows)
        self.rules = TokenRules(turn_marks(located["expert"]).stops, self.vocabulary.unused, 512, rows)
        self.prompts = [tuple(render_prompt(self.tokenizer, item["problem"], None)) for item in ITEMS]

    def token(self, text: str) -> int:
        return single_token(self.tokenizer, text, "expert")

    def text(self, completion: tuple[int, ...]) -> str:
        return str(self.tokenizer.decode(completion, skip_special_tokens=True))

    def read(self, completion: tuple[int, ...]) -> str | None:
        return blind_prediction("hard", self.text(completion))

    def answers(self, answer: Answer) -> list[Answered]:
        engine: Any = LockstepEngine(self.models, answer, self.rules, 64, token_of=self.token)
        if answer.given:
            engine = GivenEngine(engine, render_answer(self.tokenizer, answer.given))
        return write_answers(engine, answer, self.prompts, TOKENS, self.read)

    def solved(self, answers: list[Answered]) -> float:
        right = [
            self.read(answered.completion) == item["answer"]
            for answered, item in zip(answers, ITEMS, strict=True)
        ]
        return sum(right) / len(right)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def base(world: World) -> list[tuple[int, ...]]:
    return TransformersEngine(world.models["expert"], world.rules, 64).complete(world.prompts, TOKENS)


def test_contrastive_decoding_writes_from_the_contrast_target_of_every_step(world: World) -> None:
    engine = LockstepEngine(world.models, CONTRAST, world.rules, 5)
    rollouts, found = remembered(engine, world.prompts[::3], TOKENS)
    pair = LoadedPair(world.models["expert"], world.models["amateur"], world.vocabulary)
    assert_is_the_target(rollouts, found, pair, 0.2, tolerance=2e-6)


def test_an_amateur_without_weight_leaves_the_base(world: World, base: list[tuple[int, ...]]) -> None:
    found = world.answers(Mix(mix={"expert": 1.5, "amateur": 0.0}, alpha=0.1))
    assert [answered.completion for answered in found] == base
    assert [answered.completion for answered in world.answers(Prefill(prefill=""))] == base


def test_two_models_that_decode_together_solve_what_one_does_not(
    world: World, base: list[tuple[int, ...]]
) -> None:
    alone = world.solved([Answered.alone(OWN, completion) for completion in base])
    contrasted = world.answers(CONTRAST)
    assert alone < 0.7 < 0.8 < world.solved(contrasted)
    assert tally(contrasted).passes_per_token == 2


def test_a_first_word_does_the_same_whether_it_is_given_forced_or_written_by_a_better_model(
    world: World,
) -> None:
    given = world.answers(Prefill(prefill="We"))
    assert all(world.text(answered.completion).startswith("We have ") for answered in given)
    led = world.answers(Lead.model_validate({"lead": {"by": "careful", "tokens": 1}}))
    forced = world.answers(Force(force={"It": "We"}, first=1))
    expected = [answered.completion for answered in given]
    assert [answered.completion for answered in led] == expected
    assert [answered.completion for answered in forced] == expected


def test_the_more_decisions_are_taken_for_the_expert_the_more_it_solves(
    world: World, base: list[tuple[int, ...]]
) -> None:
    solved = [world.solved([Answered.alone(OWN, completion) for completion in base])]
    for first in (1, 2, None):
        forced = world.answers(Force(force={"It": "We", " it": " we"}, first=first))
        solved.append(world.solved(forced))
        told = [world.text(answered.completion) for answered in forced]
        assert all("it is" not in " ".join(text.lower().split(". ")[:first]) for text in told)
    assert solved == sorted(solved)
    assert solved[0] + 0.3 < solved[-1]
    assert solved[-1] > 0.8


def test_a_vote_is_over_what_the_samples_say(world: World, base: list[tuple[int, ...]]) -> None:
    alone = world.solved([Answered.alone(OWN, completion) for completion in base])
    voted = world.answers(Vote(vote=8))
    assert world.solved(voted) > alone
    assert tally(voted).written > 6 * tally(voted).answered
