"""`make bench` at toy sizes: every line is there, and both ways of doing something do the same."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.bench.__main__ import main, real_sizes
from experiments.bench.bare import complete_bare
from experiments.bench.choosing import both_ways
from experiments.bench.comparisons import samples_of, score
from experiments.bench.fine_tuning import our_update
from experiments.bench.measuring import Comparison, Figure, Line, in_turn, print_table
from experiments.bench.memory import of_scoring, of_training
from experiments.bench.microscope import microscope
from experiments.bench.others import continuous_batching, trl_updates
from experiments.bench.reference import loss_per_token, score_per_prefix
from experiments.bench.subjects import RandomPair, Shape, Subject, embedded, random_pair, to_the_end
from lrbench.recipe.schema import Lora
from lrbench.training.adapters import attach_adapter
from lrbench.training.loss import batch_losses

# The amateur's output layer has fewer rows, as in the published pairs.
TOY = RandomPair(
    expert=Shape(720, hidden=32, intermediate=32, layers=2, heads=2, key_value_heads=1),
    amateur=Shape(712, hidden=16, intermediate=16, layers=2, heads=1, key_value_heads=1),
    tokens=700,
    device="cpu",
    dtype="float32",
    prompts=6,
    batch_size=4,
    new_tokens=20,
)
LINES = [
    ("scoring, 20 tokens: one pass, against per prefix", "at least 10"),
    ("lightr, 20 tokens: 16 steps, against", "at least 8"),
    ("sampling, 20 tokens: bare, against with scores", "at most 1.4"),
    ("answers, 20 tokens: expert alone, against contrasted", "at most 2.3"),
    ("SFT, 20 tokens, 4 rollouts, 80 steps: ours, against a bare loop", "at least 1"),
    ("SFT, 20 tokens, 1 updates of 4 rollouts: ours, against TRL (pip install --no-deps 'trl==", ""),
    ("evaluation of 16 items: bare, against measured", "at most 1.05"),
    ("scoring 32 x 20 steps, V 720: GB beyond weights and activations", "under 0.5"),
    ("an update of 16 kept steps, V 720: GB beyond weights", ""),
    ("stored scores, embedded pair, bytes a step", "at most 200"),
]


@pytest.fixture(scope="module")
def toy() -> Subject:
    return random_pair(TOY)


@pytest.fixture(scope="module")
def quickstart() -> Subject:
    """The embedded pair on the quickstart's problems."""
    return embedded(problems=12)[1]


@pytest.mark.slow
def test_one_table_has_every_figure_of_the_real_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.bench.others.find_spec", lambda _name: None)
    lines = list(real_sizes(TOY, runs=1))
    assert [line.wanted for line in lines] == [wanted for _, wanted in LINES]
    for line, (name, _) in zip(lines, LINES, strict=True):
        assert line.name.startswith(name)
        measured = [line.ours, line.other] if isinstance(line, Comparison) else [line.values]
        assert len(cells(line)) == 5
        if "TRL" in line.name:
            assert measured == [[]]
            continue
        assert all(len(values) == 1 for values in measured)
        # What models this small need is lost in what allocators keep.
        assert "GB" in name or all(values[0] > 0 for values in measured)


@pytest.mark.slow
def test_choices_are_judged_as_by_lm_evals_own_model(tmp_path: Path) -> None:
    workspace, subject = embedded(problems=1)
    theirs, ours = both_ways(subject, workspace.expert.tokenizer, tmp_path, items=20)
    found = ours()
    assert found == theirs()
    assert set(found) == {True, False}


def cells(line: Line) -> list[str]:
    return [cell.strip() for cell in line.line().strip("|").split("|")]


def test_a_comparison_shows_both_ways_and_their_ratio() -> None:
    line = Comparison("packing", [2.0, 1.0, 4.0], [4.0, 5.0, 6.0], "at least 2")
    assert cells(line) == [
        "packing",
        "1.000 /   2.000 /   4.000",
        "4.000 /   5.000 /   6.000",
        "1.500 /   2.000 /   5.000",
        "at least 2",
    ]


def test_a_figure_shows_its_values_or_that_there_are_none() -> None:
    assert cells(Figure("peak, GiB", [0.5], "under 3")) == [
        "peak, GiB",
        "0.500 /   0.500 /   0.500",
        "",
        "",
        "under 3",
    ]
    assert cells(Figure("grading", [], "at least 200"))[1] == "not measured"


def test_the_table_is_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([Figure("peak, GiB", [0.5]), Comparison("packing", [1.0], [2.0], "")])
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 4
    assert {row.count("|") for row in rows} == {6}
    assert set(rows[1]) == {"|", "-", " "}


def test_the_two_ways_take_turns_after_an_uncounted_round_of_ours() -> None:
    calls: list[str] = []
    found = in_turn("", lambda: calls.append("ours"), lambda: calls.append("other"), "", runs=2)
    assert calls == ["ours", "ours", "other", "ours", "other"]
    assert len(found.ours) == len(found.other) == len(found.ratios) == 2


@pytest.mark.parametrize("length", ["short", "full"])
def test_the_plain_way_scores_what_we_score(quickstart: Subject, length: str) -> None:
    part = quickstart if length == "short" else to_the_end(quickstart).first(2)
    plain = score_per_prefix(part.pair, part.rollouts)
    ours = score(part, part.rollouts).kl
    assert ours.max() > 0.4
    np.testing.assert_allclose(ours, plain.numpy(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("arm", ["lightr", "no_selection", "no_contrast"])
def test_the_plain_way_learns_what_we_learn(quickstart: Subject, arm: str) -> None:
    samples = samples_of(quickstart, arm, beta=0.4)
    batch = list(range(0, len(samples), 2))
    assert len(batch) >= 4
    adapted = attach_adapter(quickstart.pair.expert, quickstart.lora, seed=0).eval()
    weights = [weight for weight in adapted.parameters() if weight.requires_grad]
    for weight in weights:
        # An adapter as it is attached changes nothing, and half of its gradient is zero.
        torch.nn.init.normal_(weight, std=0.05)
    model, vocabulary = adapted.get_base_model(), quickstart.pair.vocabulary

    def learnt(losses: Callable[[], torch.Tensor]) -> tuple[float, torch.Tensor]:
        adapted.zero_grad()
        loss = losses().item()
        return loss, torch.cat([weight.grad.flatten() for weight in weights if weight.grad is not None])

    def packed() -> torch.Tensor:
        total = torch.zeros(())
        for part in batch_losses(model, vocabulary, samples, batch):
            part.backward()  # type: ignore[no-untyped-call]
            total += part.detach()
        return total

    ours = learnt(packed)
    plain = learnt(lambda: loss_per_token(model, vocabulary, samples, batch))
    adapted.unload()
    assert ours[0] == pytest.approx(plain[0], abs=1e-4)
    assert plain[1].abs().max() > 1e-3
    torch.testing.assert_close(ours[1], plain[1], rtol=1e-3, atol=1e-4)


def test_bare_generation_writes_what_the_engine_writes(quickstart: Subject, toy: Subject) -> None:
    """Batches of several sizes, rows that stop early, and rows that stand for no token."""
    for subject in (quickstart, replace(quickstart, batch_size=5), toy):
        completions = complete_bare(subject)
        assert completions == subject.complete()
        assert len(completions) == len(subject.prompts)
    assert len({len(completion) for completion in complete_bare(quickstart)}) > 1
    assert {len(completion) for completion in complete_bare(toy)} == {TOY.new_tokens}


def test_continuous_batching_writes_what_the_engine_writes(quickstart: Subject) -> None:
    completions = continuous_batching(quickstart)()
    assert completions == quickstart.complete()
    assert len({len(completion) for completion in completions}) > 1


def test_trl_learns_what_we_learn() -> None:
    pytest.importorskip("trl", reason="TRL is in none of our environments; see experiments/bench/others.py")
    workspace, subject = embedded(problems=4)
    exact = replace(subject, lora=Lora(dropout=0.0))
    ours = our_update(exact, exact.rollouts)()
    theirs = trl_updates(exact, workspace.expert.tokenizer, exact.rollouts, updates=1)()
    assert theirs == pytest.approx(ours, abs=1e-4)


def test_memory_that_is_needed_for_a_moment_is_seen(toy: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, where much was before, only what is far above that shows."""
    wide = replace(TOY, expert=replace(TOY.expert, intermediate=200_000, layers=1), new_tokens=60)
    assert of_training(random_pair(wide)) > 500_000_000
    monkeypatch.setattr("experiments.bench.memory.score", lambda *_: torch.ones(200_000_000))
    assert of_scoring(toy) > 700_000_000


def test_the_memory_of_boards_is_measured_without_torch() -> None:
    loaded = "import sys, experiments.bench.leaderboard; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], cwd=Path(__file__).parents[2]).returncode == 0


def test_the_microscope_is_a_line_of_the_table() -> None:
    line = microscope(rollouts=20, steps=8)
    assert len(line.values) == 10
    assert line.wanted == "under 0.5"


def refused(size: str, monkeypatch: pytest.MonkeyPatch) -> str | int | None:
    """What `python -m experiments.bench --size SIZE` exits with; a text is printed, and is exit code 1."""
    monkeypatch.setattr("sys.argv", ["bench", "--size", size])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_the_size_for_a_gpu_is_refused_at_once_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    message = (
        "error: these models are for a GPU, and no CUDA device is visible here; measure the size `small`"
    )
    assert refused("h200", monkeypatch) == f"{message} instead"
    assert capsys.readouterr() == ("", "")


def test_an_unknown_size_is_refused_with_those_that_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused("huge", monkeypatch) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "invalid choice: 'huge' (choose from 'tiny', 'small', 'h200')" in printed.err
