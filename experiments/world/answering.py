"""The models of a world in memory, and what share of some problems each way to answer solves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch

from lrbench.embedded.problem_sets import Problem, problem_set
from lrbench.grading.extraction import blind_prediction
from lrbench.methods.answers import OWN, Answer
from lrbench.methods.component import AMATEUR, EXPERT
from lrbench.models.loading import load_model, load_tokenizer
from lrbench.models.prompt import render_answer, render_prompt, single_token
from lrbench.models.source import locate
from lrbench.models.turn_marks import turn_marks
from lrbench.models.vocabulary import own_vocabulary
from lrbench.recipe.schema import ModelReference
from lrbench.sampling.engines.base import TokenRules
from lrbench.sampling.engines.given import GivenEngine
from lrbench.sampling.engines.lockstep import LockstepEngine
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.scores import Scores
from lrbench.sampling.scoring import LoadedPair, score_rollouts
from lrbench.store.keys import FileHashes

TOKENS = 128
ROWS = 64
ALPHA_MIN = 0.05


@dataclass(frozen=True)
class Asked:
    """Problems of the development tenth, by family, `each` of each; nothing that ships is among them."""

    families: tuple[str, ...]
    each: int
    seed: int

    @cached_property
    def problems(self) -> dict[str, list[Problem]]:
        """The problems of every family."""
        return {family: problem_set(family, "development", self.each, self.seed) for family in self.families}


class World:
    """The models in the folders of `root`, by name, and the expert's tokenizer."""

    def __init__(self, root: Path, names: dict[str, str]) -> None:
        """`names` gives the folder of every role: `expert`, `amateur` and whatever else answers."""
        located = {
            role: locate(ModelReference(model=str(root / name)), FileHashes()) for role, name in names.items()
        }
        self.models: dict[str, Any] = {
            role: load_model(each, torch.device("cpu")) for role, each in located.items()
        }
        self.models[OWN] = self.models[EXPERT]
        self.tokenizer = load_tokenizer(located[EXPERT])
        rows = self.models[EXPERT].config.vocab_size
        self.vocabulary = own_vocabulary(self.tokenizer.get_vocab(), rows)
        self.rules = TokenRules(turn_marks(located[EXPERT]).stops, self.vocabulary.unused, 512, rows)

    def prompt(self, problem: Problem) -> tuple[int, ...]:
        """Its token ids."""
        return tuple(render_prompt(self.tokenizer, problem["problem"], None))

    def completions(
        self, problems: Sequence[Problem], answer: Answer, own: str = EXPERT
    ) -> list[tuple[int, ...]]:
        """What is answered, token ids; `own` is the model that answers where the answer names none."""
        engine: Any = LockstepEngine(
            self.models | {OWN: self.models[own]},
            answer,
            self.rules,
            ROWS,
            token_of=partial(single_token, self.tokenizer, name=own),
        )
        if answer.given:
            engine = GivenEngine(engine, render_answer(self.tokenizer, answer.given))
        found: list[tuple[int, ...]] = engine.complete([self.prompt(each) for each in problems], TOKENS)
        return found

    def solved(
        self, family: str, problems: Sequence[Problem], answer: Answer, own: str = EXPERT
    ) -> list[bool]:
        """Which problems are answered rightly."""
        return [
            blind_prediction(family, self.text(completion)) == problem["answer"]
            for completion, problem in zip(self.completions(problems, answer, own), problems, strict=True)
        ]

    def text(self, completion: Sequence[int]) -> str:
        """A completion as text."""
        return str(self.tokenizer.decode(list(completion), skip_special_tokens=True))

    def rollouts(self, problems: Sequence[Problem], answer: Answer) -> list[Rollout]:
        """What the expert writes, as rollouts."""
        completions = self.completions(problems, answer)
        return [
            Rollout(problem["id"], 0, self.prompt(problem), completion)
            for problem, completion in zip(problems, completions, strict=True)
        ]

    def scores(self, rollouts: Sequence[Rollout]) -> Scores:
        """What expert and amateur think at every step."""
        pair = LoadedPair(self.models[EXPERT], self.models[AMATEUR], self.vocabulary)
        return score_rollouts(pair, rollouts, alpha_min=ALPHA_MIN)
