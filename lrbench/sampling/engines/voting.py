"""Answers as an arm has them written: once, or several times with a vote over what the samples say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from lrbench.methods.answers import Answer, Vote, majority
from lrbench.sampling.engines.answered import Answered, summed
from lrbench.sampling.engines.base import GREEDY, Decoding, Engine

# The answer that a completion (token ids) gives, None where it gives none.
Read = Callable[[tuple[int, ...]], str | None]


def how_asked(answer: Answer, decoding: Decoding) -> Decoding:
    """How the engine is asked to write: as `decoding` says, but for a vote, which samples by itself."""
    return Decoding(answer.temperature) if isinstance(answer, Vote) else decoding


def seeds_asked(answer: Answer, prompt: Sequence[int], seed: int) -> Sequence[int]:
    """With which seeds the engine is asked for the `answer` to a prompt, once with each."""
    return answer.seeds(prompt) if isinstance(answer, Vote) else (seed,)


def write_answers(
    engine: Engine,
    answer: Answer,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    read: Read,
    decoding: Decoding = GREEDY,
    seeds: Sequence[int] = (),
) -> list[Answered]:
    """The `answer` to every prompt, in the given order, written by an engine that was made for it.

    Where `decoding` samples, row i is sampled with `seeds[i]`; a vote samples by itself.
    """
    if isinstance(answer, Vote):
        return vote(engine, answer, prompts, max_new_tokens, read)
    return engine.answer(prompts, max_new_tokens, decoding, seeds)


def vote(
    engine: Engine, answer: Vote, prompts: Sequence[Sequence[int]], max_new_tokens: int, read: Read
) -> list[Answered]:
    """The first completion of each prompt that gives the majority's answer.

    Forward passes and tokens of all samples are counted as what it took.
    """
    count = answer.vote
    written = engine.answer(
        [prompt for prompt in prompts for _ in range(count)],
        max_new_tokens,
        how_asked(answer, GREEDY),
        [seed for prompt in prompts for seed in seeds_asked(answer, prompt, 0)],
    )
    return [_elected(written[start : start + count], read) for start in range(0, len(written), count)]


def _elected(samples: Sequence[Answered], read: Read) -> Answered:
    winner = samples[majority([read(sample.completion) for sample in samples])]
    return replace(
        winner,
        passes=summed(sample.passes for sample in samples),
        written=sum(sample.written for sample in samples),
    )
