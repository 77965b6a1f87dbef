"""`make bench`: every speed and memory figure the project states, measured here and now.

`python -m experiments.bench --size small` takes random models of about 60 and 20 million parameters with a
vocabulary of 152,000 instead of the embedded pair, `--size h200` the shapes of Qwen2.5-1.5B and 0.5B on a
GPU.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterator
from itertools import islice

import torch

from experiments.bench.commands import commands
from experiments.bench.comparisons import samples_of, sampling, scoring, training, whole_work
from experiments.bench.evaluation import grading, overhead
from experiments.bench.measuring import Comparison
from experiments.bench.memory import scoring_memory
from experiments.bench.selection import sweep
from experiments.bench.subjects import H200, SMALL, RandomPair, Subject, embedded, random_pair, to_the_end
from lrbench.errors import UserError
from lrbench.models.loading import Tokenizer
from lrbench.recipe.schema import Training
from lrbench.training.batches import update_batches

EMBEDDED_PROBLEMS = 64
EMBEDDED_RUNS = 5
# With random weights the plain way takes minutes; few rollouts are as good as many.
RANDOM_RUNS = 3
COMPARED_ROLLOUTS = 1
ROLLOUTS_PER_UPDATE = 16
STEPS_PER_UPDATE = 16
EVALUATED_ITEMS = 16


def main() -> None:
    """Print the table of paired timings, then figures that stand alone."""
    parser = argparse.ArgumentParser(prog="python -m experiments.bench", description=__doc__)
    parser.add_argument("--size", choices=["tiny", "small", "h200"], default="tiny")
    size = parser.parse_args().size
    print(f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, ", end="")
    print(f"{torch.get_num_threads()} threads; seconds and ratios as minimum, median, maximum\n")
    print(f"{'what':52} | {'ours':23} | {'the other way':23} | {'other / ours':23} | wanted")
    try:
        lines = tiny() if size == "tiny" else real_sizes({"small": SMALL, "h200": H200}[size])
        for line in lines:
            print(line.line() if isinstance(line, Comparison) else line, flush=True)
    except UserError as error:
        sys.exit(f"error: {error}")


def tiny() -> Iterator[Comparison | str]:
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
    yield overhead(subject, workspace.tokenizer, limit=None, runs=EMBEDDED_RUNS)
    yield ""
    yield sweep(subject)
    yield grading()
    yield from commands()


def real_sizes(declared: RandomPair, updates: int = 1000) -> Iterator[Comparison | str]:
    """Random weights in real shapes; on a GPU the whole recipe of the paper too."""
    subject = random_pair(declared)
    yield from compared(subject, embedded(problems=1)[0].tokenizer)
    yield ""
    yield scoring_memory(subject)
    if declared.device == "cuda":
        yield whole_work(subject, updates)


def compared(subject: Subject, tokenizer: Tokenizer) -> Iterator[Comparison]:
    """P1, P2, P3 and P7 for random models; `tokenizer` is only for the prompts of a benchmark."""
    one = subject.first(COMPARED_ROLLOUTS)
    yield scoring(f"{subject.new_tokens} tokens", one, RANDOM_RUNS)
    few = subject.first(ROLLOUTS_PER_UPDATE)
    samples = samples_of(few, "lightr")
    settings = Training(updates=1, steps_per_update=STEPS_PER_UPDATE)
    (batch,) = islice(update_batches(samples, settings, seed=0), 1)
    yield training(f"lightr, {subject.new_tokens} tokens", few, samples, batch, RANDOM_RUNS)
    yield sampling(f"{subject.new_tokens} tokens", few, RANDOM_RUNS)
    yield overhead(subject, tokenizer, EVALUATED_ITEMS, RANDOM_RUNS)


if __name__ == "__main__":
    main()
