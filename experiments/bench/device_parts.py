"""What is measured on one device, part by part: every line as soon as it is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import torch

from experiments.bench.comparisons import STEPS_PER_UPDATE, samples_of, score
from experiments.bench.fine_tuning import against_bare
from experiments.bench.measuring import Figure, Line, seconds
from experiments.bench.one_queue import queueing
from experiments.bench.subjects import H200, RandomPair, Shape, Subject, random_pair
from lrbench.recipe.schema import Runtime, Training
from lrbench.sampling.engines.transformers import TransformersEngine
from lrbench.training.loop import train

# Qwen2.5-Math-7B; the expert of `H200` has the shape of Qwen2.5-Math-1.5B.
LARGE = Shape(152_064, hidden=3584, intermediate=18944, layers=28, heads=28, key_value_heads=4, tied=False)
TOY = Shape(720, hidden=32, intermediate=32, layers=2, heads=2, key_value_heads=1)


@dataclass(frozen=True)
class Sizes:
    """How much of everything: models, prompts, updates, rollouts of an update, runs and batch sizes."""

    pair: RandomPair
    large: RandomPair
    answers: int
    answer_tokens: int
    batch_sizes: Sequence[int]
    updates: int
    fine_tuned: Sequence[int]
    compared: int
    runs: int


PUBLISHED = Sizes(
    pair=replace(H200, prompts=512),
    large=replace(H200, expert=LARGE, prompts=64, batch_size=64),
    answers=400,
    answer_tokens=512,
    batch_sizes=(256, 64),
    updates=100,
    fine_tuned=(4, 16),
    compared=128,
    runs=1,
)
_TOYS = RandomPair(TOY, TOY, tokens=700, device="cpu", dtype="float32", prompts=6, batch_size=4, new_tokens=8)
DRY = Sizes(
    pair=_TOYS,
    large=replace(_TOYS, expert=replace(TOY, tied=False)),
    answers=120,
    answer_tokens=8,
    batch_sizes=(16, 8),
    updates=2,
    fine_tuned=(2,),
    compared=4,
    runs=1,
)


def losses(sizes: Sizes) -> Iterator[Line]:
    """The loss at a large vocabulary, and the most memory that ours and the bare loop took together."""
    subject = random_pair(sizes.pair)
    for count in sizes.fine_tuned:
        part = subject.first(count)
        yield against_bare("1.5B", part, part.rollouts, 3 * sizes.runs)
    yield from _memory("SFT, ours and a bare loop in turn")


def recipe(sizes: Sizes) -> Iterator[Line]:
    """The published recipe's stages at less than their length, and the memory after each."""
    yield from _stages("1.5B and 0.5B", random_pair(sizes.pair), sizes.updates)


def large(sizes: Sizes) -> Iterator[Line]:
    """The same of an expert of 7B."""
    yield from _stages("7B and 0.5B", random_pair(sizes.large), sizes.updates // 4 or 1)


def queue(sizes: Sizes) -> Iterator[Line]:
    """All answers in one call, against shards."""
    subject = random_pair(replace(sizes.pair, prompts=sizes.answers, new_tokens=sizes.answer_tokens))
    for batch_size in sizes.batch_sizes:
        yield from queueing("1.5B", subject, batch_size, sizes.runs)
    yield from _memory("answers")


def dtypes(sizes: Sizes) -> Iterator[Line]:
    """How many answers in bfloat16 are those in float32, of the same weights."""
    subject = random_pair(replace(sizes.pair, prompts=sizes.compared))
    half = deepcopy(subject.pair.expert).bfloat16()
    whole = deepcopy(half).float()
    took, written = [], []
    for model in (half, whole):
        engine = TransformersEngine(model, subject.rules, subject.batch_size)
        took.append(
            seconds(
                lambda engine=engine: written.append(engine.complete(subject.prompts, subject.new_tokens))
            )
        )
    of = f"{len(subject.prompts)} answers of {subject.new_tokens} tokens"
    yield Figure(f"{of}, bfloat16, s", took[:1])
    yield Figure(f"{of}, float32, s", took[1:])
    pairs = list(zip(*written, strict=True))
    yield Figure(f"{of}: share equal in both", [sum(one == other for one, other in pairs) / len(pairs)])
    agreed = [_agreed(one, other) for one, other in pairs]
    yield Figure(f"{of}: tokens until they differ", agreed)


PARTS: dict[str, Callable[[Sizes], Iterator[Line]]] = {
    "loss": losses,
    "recipe": recipe,
    "queue": queue,
    "dtypes": dtypes,
    "large": large,
}


def _stages(name: str, subject: Subject, updates: int) -> Iterator[Line]:
    pair = subject.pair
    yield from _memory(f"{name}: models")
    took = seconds(lambda: subject.rollouts)
    yield Figure(f"{name}: {len(subject.prompts)} rollouts of {subject.new_tokens} tokens, s", [took])
    yield from _memory(f"{name}: rollouts")
    yield Figure(f"{name}: their scores, s", [seconds(lambda: score(subject, subject.rollouts))])
    yield from _memory(f"{name}: scores")
    samples = samples_of(subject, "lightr")
    settings = Training(updates=updates, steps_per_update=STEPS_PER_UPDATE, lora=subject.lora)

    def learn() -> None:
        train(pair.expert, pair.vocabulary, samples, settings, seed=0, runtime=Runtime(), save=lambda _: None)

    yield Figure(f"{name}: {updates} updates of {STEPS_PER_UPDATE} kept steps, s", [seconds(learn)])
    yield from _memory(f"{name}: updates")


def _memory(what: str) -> Iterator[Figure]:
    """GB in use now, kept by the allocator, and in use at most since this was last asked; of a GPU alone."""
    if not torch.cuda.is_available():
        return
    held = torch.cuda.memory_allocated(), torch.cuda.memory_reserved(), torch.cuda.max_memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    for kind, size in zip(("in use after", "kept after", "in use at most during"), held, strict=True):
        yield Figure(f"GB {kind} {what}", [size / 1e9])


def _agreed(one: Sequence[int], other: Sequence[int]) -> float:
    """How many tokens two answers begin with alike."""
    return float(next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one)))
