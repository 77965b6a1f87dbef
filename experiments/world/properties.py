"""The properties of a world: how far each way to answer comes without training, and where steps are kept.

`closes` is the share of the distance from the expert to the careful teacher that a way to answer covers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from experiments.world.answering import Asked, World
from lrbench.embedded.solutions import CAREFUL, SLOPPY
from lrbench.methods.answers import Answer, Force, Mix, Plain, Prefill
from lrbench.methods.component import AMATEUR, EXPERT
from lrbench.sampling.scores import Scores

TEACHER = "careful"
# All their questions take two steps or more.
LONG = ("multi_step", "formal", "distractor", "hard")
BETA, ALPHA = 0.4, 0.2
LOW = 0.1
# The first word of a sloppy step, and the careful one for it: at the beginning of an answer, and later.
DECISIONS = {
    SLOPPY.split()[0].capitalize(): CAREFUL.split()[0].capitalize(),
    f" {SLOPPY.split()[0]}": f" {CAREFUL.split()[0]}",
}
FIRST_WORD = next(iter(DECISIONS.values()))


def contrast(**when: object) -> Mix:
    """The pair decoding together, where a rule holds."""
    gate = {"when": when} if when else {}
    return Mix.model_validate({"mix": {EXPERT: 1, AMATEUR: -1}, "alpha": ALPHA} | gate)


def forced(first: int | None) -> Force:
    """Care at the first so many steps, or all."""
    return Force(force=DECISIONS, first=first)


BASE, FIRST_FORCED, FIRST_CONTRAST, GATED, TAUGHT = (
    "expert alone",
    "first decision forced",
    "contrast at the first token",
    "contrast where KL > 0.4",
    "careful teacher alone",
)
# The ways to answer, each with the model that is the arm's own.
WAYS: dict[str, tuple[Answer, str]] = {
    BASE: (Plain(), EXPERT),
    "amateur alone": (Plain(), AMATEUR),
    TAUGHT: (Plain(), TEACHER),
    FIRST_FORCED: (Prefill(prefill=FIRST_WORD), EXPERT),
    FIRST_CONTRAST: (contrast(signal="step", below=1), EXPERT),
    "first two decisions forced": (forced(2), EXPERT),
    "first three decisions forced": (forced(3), EXPERT),
    "all decisions forced": (forced(None), EXPERT),
    "contrast on all steps": (contrast(), EXPERT),
    GATED: (contrast(signal="kl", above=BETA), EXPERT),
}


@dataclass(frozen=True)
class Kept:
    """Where the pair's divergence exceeds beta, over `steps` steps of the expert's `rollouts`.

    `share` of the steps are kept, `at_first` of the kept ones stand at step 0, and `later` are kept after it
    in a rollout on average; `low` is the share of steps below 0.1. Of the steps at which a style is decided
    `decisions_kept` are kept; at `decisions_careful` of them the expert's first choice is careful, and at
    `decisions_open` its careful word is within alpha of its first choice.
    """

    steps: int
    rollouts: int
    share: float
    at_first: float
    later: float
    low: float
    decisions_kept: float
    decisions_careful: float
    decisions_open: float


@dataclass(frozen=True)
class Properties:
    """What was measured: the right answers of every way by family, and where steps are kept."""

    each: int
    solved: dict[str, dict[str, float]]
    kept: Kept

    def accuracy(self, way: str, families: tuple[str, ...]) -> float:
        """Mean over families of the share of right answers."""
        return float(np.mean([self.solved[way][family] for family in families]))

    def closes(self, way: str, families: tuple[str, ...]) -> float:
        """The share of the distance from the expert to the careful teacher."""
        base, taught = (self.accuracy(each, families) for each in (BASE, TAUGHT))
        return (self.accuracy(way, families) - base) / (taught - base)

    def verdicts(self) -> Iterator[tuple[str, float, bool]]:
        """Every property that a world has to have: in words, as measured, and whether it has it."""
        first, contrasted, gated = (self.closes(way, LONG) for way in (FIRST_FORCED, FIRST_CONTRAST, GATED))
        yield "the first decision forced closes at most a third", first, first <= 1 / 3
        yield "contrast at the first token closes at most a third", contrasted, contrasted <= 1 / 3
        yield "contrast where KL > 0.4 closes more than half", gated, gated > 1 / 2
        kept = self.kept
        yield "at most a quarter of the kept steps are at step 0", kept.at_first, kept.at_first <= 1 / 4
        yield "at least two steps are kept later in a rollout", kept.later, kept.later >= 2
        yield "a fifth of the steps is kept, give or take five points", kept.share, 0.15 <= kept.share <= 0.25
        for words, families in (("on these families", LONG), ("on all seven", tuple(self.solved[BASE]))):
            base = self.accuracy(BASE, families)
            yield f"the expert has between 30 and 60 {words}", base, 0.3 <= base <= 0.6


def measure(world: World, asked: Asked) -> Properties:
    """All ways on all problems, and the scores of the expert's own answers on the long families."""
    solved = {
        way: {
            family: float(np.mean(world.solved(family, problems, answer, own)))
            for family, problems in asked.problems.items()
        }
        for way, (answer, own) in WAYS.items()
    }
    long = [problem for family in LONG for problem in asked.problems[family]]
    rollouts = world.rollouts(long, Plain())
    return Properties(asked.each, solved, kept(world, world.scores(rollouts), len(rollouts)))


def kept(world: World, scores: Scores, rollouts: int) -> Kept:
    """Where steps are kept."""
    over = scores.kl > BETA
    words = {
        word: world.tokenizer.encode(word, add_special_tokens=False)[0]
        for word in (*DECISIONS, *DECISIONS.values())
    }
    decides = np.isin(scores.top1_expert, list(words.values()))
    wanted = np.isin(scores.top1_expert, [words[word] for word in DECISIONS.values()])
    return Kept(
        steps=len(scores),
        rollouts=rollouts,
        share=float(over.mean()),
        at_first=float((scores.step[over] == 0).mean()),
        later=float((over & (scores.step > 0)).sum() / rollouts),
        low=float((scores.kl < LOW).mean()),
        decisions_kept=float(over[decides].mean()),
        decisions_careful=float(wanted[decides].mean()),
        decisions_open=float(
            _open(scores, {words[a]: words[b] for a, b in DECISIONS.items()})[decides].mean()
        ),
    )


def _open(scores: Scores, wanted: dict[int, int]) -> NDArray[np.bool_]:
    """Where the careful word is plausible beside the expert's first choice, or is that choice."""
    found = np.zeros(len(scores), dtype=bool)
    for place, top in enumerate(scores.top1_expert.tolist()):
        span = slice(scores.offsets[place], scores.offsets[place + 1])
        log_p = scores.support_log_p_expert[span]
        plausible = scores.support_ids[span][log_p >= log_p.max() + log(ALPHA)]
        found[place] = wanted.get(top, top) in plausible
    return found
