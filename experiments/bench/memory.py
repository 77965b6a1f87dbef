"""How much memory scoring needs beyond weights and activations: `python -m experiments.bench.memory`."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from experiments.bench.comparisons import score
from experiments.bench.subjects import SMALL, Subject, random_pair
from lrbench.models.forward import TOKENS_PER_FORWARD, hidden_states, length_batches, pad_right
from lrbench.sampling.rollouts import Rollout

ROLLOUTS = 32
STEPS = 128
WANTED = {"cpu": 0.5, "cuda": 1.0}


def scoring_memory(subject: Subject) -> str:
    """One line; on a CPU it is always the pair `SMALL`, in a process where nothing was before."""
    device = subject.pair.expert.device.type
    if device == "cuda":
        needed = beyond(subject)
    else:
        found = subprocess.run(
            [sys.executable, "-m", "experiments.bench.memory"],
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        needed = int(found.stdout)
    return (
        f"memory of scoring {ROLLOUTS} rollouts of {STEPS} steps beyond weights and activations: "
        f"{needed / 1e9:.2f} GB (wanted: under {WANTED[device]})"
    )


def beyond(subject: Subject) -> int:
    """Bytes that scoring needs more than the forwards of both models alone."""
    prompts = [subject.prompts[index % len(subject.prompts)] for index in range(ROLLOUTS)]
    rollouts = [
        Rollout(str(index), 0, prompt, tuple(range(index, index + STEPS)))
        for index, prompt in enumerate(prompts)
    ]
    least = peak(subject, lambda: forwards(subject, rollouts))
    return peak(subject, lambda: score(subject, rollouts)) - least


@torch.no_grad()
def forwards(subject: Subject, rollouts: Sequence[Rollout]) -> None:
    """The hidden states that scoring looks at, one batch after the other."""
    pair = subject.pair
    rows = [rollout.token_ids for rollout in rollouts]
    tokens = TOKENS_PER_FORWARD[pair.expert.device.type]
    for batch in length_batches([len(row) for row in rows], len(rows), tokens):
        ids_BT = pad_right([rows[index] for index in batch], pair.expert.device)
        # Scoring holds both models' states at once.
        _states = hidden_states(pair.expert, ids_BT), hidden_states(pair.amateur, ids_BT)


def peak(subject: Subject, work: Callable[[], None]) -> int:
    """The largest memory in use, in bytes, while `work` is done; resident memory on a CPU (Linux only)."""
    if subject.pair.expert.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        work()
        return torch.cuda.max_memory_allocated()
    Path("/proc/self/clear_refs").write_text("5")
    work()
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


if __name__ == "__main__":
    print(beyond(random_pair(SMALL)))
