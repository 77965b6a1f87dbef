"""One teacher-forced forward gives what one forward per prefix gives."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lrbench.errors import RunError
from lrbench.models.pieces import Pieces
from lrbench.sampling import scoring
from lrbench.sampling.rollouts import Rollout, read_rollouts, write_rollouts
from lrbench.sampling.scores import Scores, read_scores, write_scores
from lrbench.sampling.scoring import LoadedPair, score_rollouts
from tests.oracles import scoring as oracle

ALPHA_MIN = 0.05


def score(pair: LoadedPair, rollouts: list[Rollout], chunk: int = 256, tokens: int = 1024) -> Scores:
    return score_rollouts(pair, rollouts, alpha_min=ALPHA_MIN, pieces=Pieces(tokens, chunk))


@pytest.fixture(scope="module")
def scores(pair: LoadedPair, rollouts: list[Rollout]) -> Scores:
    return score(pair, rollouts)


def assert_same(left: Scores, right: Scores, tolerance: float) -> None:
    columns = {name: column for name, column in vars(left).items() if column is not None}
    assert len(columns) == 15
    for name, expected in columns.items():
        found = getattr(right, name)
        assert expected.dtype == found.dtype, name
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance, err_msg=name)


def test_every_step_has_a_score_from_step_0_on(scores: Scores, rollouts: list[Rollout]) -> None:
    assert scores.rollout.tolist() == [i for i, rollout in enumerate(rollouts) for _ in range(rollout.steps)]
    assert scores.step.tolist() == [step for rollout in rollouts for step in range(rollout.steps)]


def test_scores_equal_one_forward_per_prefix(
    pair: LoadedPair, rollouts: list[Rollout], scores: Scores
) -> None:
    size, unused = pair.vocabulary.size, pair.vocabulary.unused
    prefixes = [prefix for rollout in rollouts for prefix in oracle.prefixes(rollout)]
    own = [token for rollout in rollouts for token in rollout.completion_ids]
    found = vars(scores)
    for index, prefix in enumerate(prefixes):
        p = oracle.distribution(pair.expert, prefix, size, unused)
        q = oracle.distribution(pair.amateur, prefix, size, unused)
        assert scores.kl[index] == pytest.approx(oracle.kl(p, q), abs=2e-5)
        entropy = -sum(value * np.log(value) for value in p if value > 0)
        assert scores.entropy_expert[index] == pytest.approx(entropy, abs=2e-5)
        assert scores.top1_expert[index] == int(np.argmax(p))
        assert scores.top1_amateur[index] == int(np.argmax(q))
        assert found["kl_reverse"][index] == pytest.approx(oracle.kl(q, p), abs=2e-5)
        assert found["top1_log_p_amateur"][index] == pytest.approx(np.log(max(q)), abs=2e-5)
        assert found["own_log_p_expert"][index] == pytest.approx(np.log(p[own[index]]), abs=2e-5)
        assert found["own_log_p_amateur"][index] == pytest.approx(np.log(q[own[index]]), abs=2e-5)
        span = slice(scores.offsets[index], scores.offsets[index + 1])
        assert scores.support_ids[span].tolist() == oracle.support(p, ALPHA_MIN)
        for token, expert, amateur in zip(
            scores.support_ids[span],
            scores.support_log_p_expert[span],
            scores.support_log_p_amateur[span],
            strict=True,
        ):
            assert expert == pytest.approx(np.log(p[token]), abs=2e-5)
            assert amateur == pytest.approx(np.log(q[token]), abs=2e-5)


@pytest.mark.parametrize("chunk", [1, 7, 64, 10_000])
def test_the_chunk_size_does_not_change_scores(
    pair: LoadedPair, rollouts: list[Rollout], scores: Scores, chunk: int
) -> None:
    assert_same(scores, score(pair, rollouts, chunk=chunk), tolerance=1e-5)


def test_the_batch_size_does_not_change_scores(
    pair: LoadedPair, rollouts: list[Rollout], scores: Scores
) -> None:
    assert_same(scores, score(pair, rollouts, tokens=1), tolerance=1e-5)


def test_tokens_that_stand_for_nothing_never_appear(scores: Scores) -> None:
    assert 7 not in scores.support_ids
    assert scores.support_ids.max() < 61


def test_a_token_that_stands_for_nothing_has_no_log_probability(pair: LoadedPair) -> None:
    """Neither has one beyond the vocabulary; the steps before and after have theirs."""
    found = score(pair, [Rollout("p", 0, (8, 9), (10, 7, 62, 11))])
    for column in (found.own_log_p_expert, found.own_log_p_amateur):
        assert column is not None
        assert np.isnan(column).tolist() == [False, True, True, False]
    assert np.isfinite(found.kl).all()


def padded(model: Any, rows: int) -> Any:
    """The same model with rows of padding in its output layer, as likely as could be."""
    found = copy.deepcopy(model)
    weight = model.get_output_embeddings().weight
    wider = torch.cat([weight, 100 * torch.ones(rows - len(weight), weight.shape[1])])
    found.get_output_embeddings().weight = torch.nn.Parameter(wider, requires_grad=False)
    return found


def test_rows_of_padding_are_masked_however_many_each_model_has(
    pair: LoadedPair, rollouts: list[Rollout], scores: Scores
) -> None:
    wide = LoadedPair(padded(pair.expert, 152_064), padded(pair.amateur, 151_936), pair.vocabulary)
    assert_same(scores, score(wide, rollouts), tolerance=1e-5)


@pytest.fixture
def moves(pair: LoadedPair, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is moved where while a pair takes turns; here both places are the CPU."""
    seen: list[str] = []

    def watch(name: str, module: Any) -> None:
        def put(device: torch.device) -> None:
            assert device == pair.expert.device
            seen.append(f"{name} on")

        monkeypatch.setattr(module, "to", put)
        monkeypatch.setattr(module, "cpu", lambda: seen.append(f"{name} off"))

    for name, model in (("expert", pair.expert), ("amateur", pair.amateur)):
        watch(name, model)
        watch(f"{name}'s output layer", model.get_output_embeddings())
    return seen


@pytest.mark.parametrize("tokens", [1, 40, 1024])
def test_a_pair_that_takes_turns_scores_bit_for_bit_as_one_that_fits(
    pair: LoadedPair, rollouts: list[Rollout], moves: list[str], tokens: int
) -> None:
    by_turns = score(replace(pair, takes_turns=True), rollouts, chunk=7, tokens=tokens)
    assert moves == [
        "expert off", "amateur on", "amateur off",
        "expert's output layer on", "amateur's output layer on",
        "amateur off", "expert on",
    ]  # fmt: skip
    moves.clear()
    assert_same(score(pair, rollouts, chunk=7, tokens=tokens), by_turns, tolerance=0)
    assert moves == []


def test_a_pair_that_takes_turns_is_put_back_when_scoring_fails(
    pair: LoadedPair, rollouts: list[Rollout], moves: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no more memory")

    monkeypatch.setattr("lrbench.sampling.scoring.step_columns", fail)
    with pytest.raises(RuntimeError, match="no more memory"):
        score(replace(pair, takes_turns=True), rollouts)
    assert moves[-2:] == ["amateur off", "expert on"]


def test_a_model_against_itself_diverges_nowhere(pair: LoadedPair, rollouts: list[Rollout]) -> None:
    itself = LoadedPair(pair.expert, pair.expert, pair.vocabulary)
    assert np.abs(score(itself, rollouts).kl).max() < 1e-6


def test_scores_survive_the_disk_bit_for_bit(scores: Scores, tmp_path: Path) -> None:
    write_scores(tmp_path / "scores.parquet", scores)
    assert_same(scores, read_scores([tmp_path / "scores.parquet"]), tolerance=0)


def test_scores_in_two_files_read_as_one(pair: LoadedPair, rollouts: list[Rollout], tmp_path: Path) -> None:
    first = score_rollouts(pair, rollouts[:2], alpha_min=ALPHA_MIN)
    second = score_rollouts(pair, rollouts[2:], alpha_min=ALPHA_MIN, first_index=2)
    write_scores(tmp_path / "0.parquet", first)
    write_scores(tmp_path / "1.parquet", second)
    whole = read_scores([tmp_path / "0.parquet", tmp_path / "1.parquet"])
    assert_same(score(pair, rollouts), whole, tolerance=1e-5)


def test_scores_of_earlier_versions_are_read_without_what_they_lack(scores: Scores, tmp_path: Path) -> None:
    later = ("kl_reverse", "top1_log_p_amateur", "own_log_p_expert", "own_log_p_amateur")
    earlier = replace(scores, **dict.fromkeys(later))
    write_scores(tmp_path / "earlier.parquet", earlier)
    found = read_scores([tmp_path / "earlier.parquet"])
    assert [getattr(found, name) for name in later] == [None] * 4
    np.testing.assert_array_equal(found.kl, scores.kl)


def test_rollouts_survive_the_disk(rollouts: list[Rollout], tmp_path: Path) -> None:
    write_rollouts(tmp_path / "rollouts.parquet", rollouts)
    assert read_rollouts([tmp_path / "rollouts.parquet"]) == rollouts


def test_no_rollouts_have_no_scores(pair: LoadedPair) -> None:
    assert len(score(pair, [])) == 0
    assert len(read_scores([])) == 0


def test_a_divergence_that_is_not_a_number_names_its_problem(
    tiny_model: Callable[..., Any], pair: LoadedPair, rollouts: list[Rollout]
) -> None:
    broken = tiny_model(seed=2)
    broken.model.embed_tokens.weight.data[rollouts[3].completion_ids[0]] = float("inf")
    with pytest.raises(RunError, match=r"is not a number, the first in the rollout of p\d"):
        score(LoadedPair(pair.expert, broken, pair.vocabulary), rollouts[3:4])


def test_a_rollout_longer_than_the_amateurs_context_is_refused_by_name(
    tiny_model: Callable[..., Any], pair: LoadedPair, rollouts: list[Rollout]
) -> None:
    short = tiny_model(seed=2)
    longest = max(rollouts, key=lambda rollout: len(rollout.token_ids))
    short.config.max_position_embeddings = len(longest.token_ids) - 2
    with pytest.raises(RunError, match=rf"the amateur has positions .* rollout of {longest.problem_id} has"):
        score(LoadedPair(pair.expert, short, pair.vocabulary), rollouts)
    short.config.max_position_embeddings += 1
    assert len(score(LoadedPair(pair.expert, short, pair.vocabulary), rollouts))


class TestOutOfMemory:
    """Memory that runs out while rollouts are scored."""

    @pytest.mark.parametrize(
        "failure",
        [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory: 1 bytes")],
    )
    def test_work_goes_on_in_smaller_pieces_and_gives_the_same_scores(
        self,
        pair: LoadedPair,
        rollouts: list[Rollout],
        scores: Scores,
        failure: RuntimeError,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        columns, sizes = scoring.step_columns, []

        def failing(expert_CV: torch.Tensor, *others: Any) -> Any:
            sizes.append(len(expert_CV))
            if len(expert_CV) > 16:
                raise failure
            return columns(expert_CV, *others)

        monkeypatch.setattr(scoring, "step_columns", failing)
        assert_same(scores, score(pair, rollouts), tolerance=1e-5)
        assert sizes[0] > 16 >= max(sizes[-3:])
        assert "out of memory while scoring: going on with 512 tokens at once" in caplog.text

    def test_one_rollout_that_does_not_fit_is_told_with_both_models_sizes(
        self, pair: LoadedPair, rollouts: list[Rollout], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def failing(*_: Any) -> Any:
            raise torch.OutOfMemoryError("CUDA out of memory")

        monkeypatch.setattr(scoring, "step_columns", failing)
        message = (
            r"one rollout of \d+ tokens alone .* as the expert, .* as the amateur .* of 61 tokens. Lower"
        )
        with pytest.raises(RunError, match=message):
            score(pair, rollouts)

    def test_another_failure_is_not_taken_for_it(
        self, pair: LoadedPair, rollouts: list[Rollout], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def failing(*_: Any) -> Any:
            raise RuntimeError("shapes cannot be multiplied")

        monkeypatch.setattr(scoring, "step_columns", failing)
        with pytest.raises(RuntimeError, match="shapes cannot"):
            score(pair, rollouts)
