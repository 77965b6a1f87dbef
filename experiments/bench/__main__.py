"""`make bench`: every speed and memory figure the project states, measured here and now.

`make bench SIZE=small` takes random models of about 60 and 20 million parameters with a vocabulary of
152,000 instead of the embedded pair, `SIZE=h200` the shapes of Qwen2.5-1.5B and 0.5B on a GPU.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterator
from itertools import islice

import torch

from experiments.bench.choosing import choosing
from experiments.bench.commands import commands
from experiments.bench.comparisons import (
    STEPS_PER_UPDATE,
    contrasting,
    samples_of,
    sampling,
    scoring,
    training,
    whole_work,
)
from experiments.bench.evaluation import grading, overhead
from experiments.bench.fine_tuning import against_bare
from experiments.bench.growing import growing
from experiments.bench.leaderboard import leaderboard
from experiments.bench.measuring import Line, print_table
from experiments.bench.memory import memory
from experiments.bench.microscope import microscope
from experiments.bench.one_queue import queueing
from experiments.bench.others import against_continuous, against_trl
from experiments.bench.selection import stored_size, sweep
from experiments.bench.subjects import H200, SMALL, RandomPair, Subject, embedded, random_pair, to_the_end
from lrbench.errors import UserError
from lrbench.recipe.schema import Training
from lrbench.training.batches import update_batches

EMBEDDED_PROBLEMS = 64
EMBEDDED_RUNS = 5
# With random weights the plain way takes minutes; few rollouts are as good as many.
RANDOM_RUNS = 3
COMPARED_ROLLOUTS = 1
ROLLOUTS_PER_UPDATE = 16
FINE_TUNED_ROLLOUTS = 4
TRL_UPDATES = 8
QUEUED_PROMPTS = 400
QUEUED_AT_ONCE = (64, 256)
EVALUATED_ITEMS = 16
CHOSEN_ITEMS = 200
RANDOM_PAIRS = {"small": SMALL, "h200": H200}


def main() -> None:
    """Print one table: paired timings first, then what is measured by itself."""
    parser = argparse.ArgumentParser(prog="python -m experiments.bench", description=__doc__)
    parser.add_argument("--size", choices=["tiny", *RANDOM_PAIRS], default="tiny")
    size = parser.parse_args().size
    try:
        lines = tiny() if size == "tiny" else real_sizes(RANDOM_PAIRS[size])
    except UserError as error:
        sys.exit(f"error: {error}")
    cores, threads = os.cpu_count(), torch.get_num_threads()
    print(
        f"{platform.machine()}, {cores} cores, torch {torch.__version__}, {threads} threads. Seconds unless"
    )
    print("a line says otherwise, as minimum / median / maximum.\n")
    print_table(lines)


def tiny() -> Iterator[Line]:
    """The embedded pair: what the quickstart does, and rollouts of the paper's length."""
    workspace, subject = embedded(EMBEDDED_PROBLEMS)
    lengths = {"short": subject, "128 tokens": to_the_end(subject).first(ROLLOUTS_PER_UPDATE)}
    for name, part in lengths.items():
        yield scoring(name, part, EMBEDDED_RUNS)
        for arm in ("lightr", "no_selection"):
            samples = samples_of(part, arm, beta=0.4)
            batch = [index for index in range(len(samples)) if samples.rollout[index] < ROLLOUTS_PER_UPDATE]
            yield training(f"{arm}, {name}", part, samples, batch, EMBEDDED_RUNS)
        yield sampling(name, part, EMBEDDED_RUNS)
        yield against_continuous(name, part, EMBEDDED_RUNS)
        rollouts = part.rollouts[:ROLLOUTS_PER_UPDATE]
        yield against_bare(name, part, rollouts, EMBEDDED_RUNS)
        yield against_trl(name, part, workspace.expert.tokenizer, rollouts, TRL_UPDATES, EMBEDDED_RUNS)
    many = embedded(QUEUED_PROMPTS)[1]
    for at_once in QUEUED_AT_ONCE:
        yield from queueing("embedded", many, at_once, runs=1)
    yield overhead(subject, workspace.expert.tokenizer, limit=None, runs=EMBEDDED_RUNS)
    yield choosing(subject, workspace.expert.tokenizer, CHOSEN_ITEMS, EMBEDDED_RUNS)
    for name, part in lengths.items():
        yield stored_size(name, part)
    yield from sweep(subject)
    yield from grading()
    yield from commands()
    yield from leaderboard()
    yield from growing()
    yield microscope()


def real_sizes(declared: RandomPair, runs: int = RANDOM_RUNS, updates: int = 1000) -> Iterator[Line]:
    """Random weights in real shapes; on a GPU the whole recipe of the paper too.

    Raises `UserError` at once when they are for a GPU and there is none.
    """
    subject = random_pair(declared)
    return _of_random(declared, subject, runs, updates)


def _of_random(declared: RandomPair, subject: Subject, runs: int, updates: int) -> Iterator[Line]:
    name = f"{subject.new_tokens} tokens"
    yield scoring(name, subject.first(COMPARED_ROLLOUTS), runs)
    few = subject.first(ROLLOUTS_PER_UPDATE)
    samples = samples_of(few, "lightr")
    settings = Training(updates=1, steps_per_update=STEPS_PER_UPDATE)
    (batch,) = islice(update_batches(samples, settings, seed=0), 1)
    yield training(f"lightr, {name}", few, samples, batch, runs)
    yield sampling(name, few, runs)
    yield contrasting(name, few, runs)
    # The prompts of a benchmark are those of the embedded tokenizer, which has fewer ids than these models.
    workspace, small = embedded(EMBEDDED_PROBLEMS)
    rollouts = few.rollouts[:FINE_TUNED_ROLLOUTS]
    yield against_bare(name, few, rollouts, runs)
    yield against_trl(name, few, workspace.expert.tokenizer, rollouts, updates=1, runs=runs)
    yield overhead(subject, workspace.expert.tokenizer, EVALUATED_ITEMS, runs)
    yield from memory(declared, subject, runs)
    yield stored_size("embedded pair", small)
    if declared.device == "cuda":
        yield from whole_work(subject, updates)


if __name__ == "__main__":
    main()
