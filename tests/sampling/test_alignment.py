"""A pair aligned by tokens: equal strings are compared, whatever their ids, and what they cover is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lrbench.embedded.assets import model_folder
from lrbench.errors import ModelError, RunError, VocabularyMismatchError
from lrbench.methods.ingredients import Ingredients
from lrbench.methods.readings import PAIR
from lrbench.models.alignment import align_tokens
from lrbench.models.prompt import render_prompt
from lrbench.models.source import locate
from lrbench.models.turn_marks import end_of_turn
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import Data, Divergence, ModelReference, Runtime
from lrbench.sampling.alignment import aligned_columns, restricted
from lrbench.sampling.coverage import CoveredMass, check_coverage
from lrbench.sampling.divergence import divergence_statistics
from lrbench.sampling.problems import load_problems
from lrbench.sampling.reading import Reading, Translator, own_reading
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import build_samples, kept_steps
from lrbench.sampling.scores import (
    Scores,
    concatenate,
    in_rollout_order,
    keep_covered,
    read_scores,
    write_scores,
)
from lrbench.sampling.scoring import score_rollouts
from lrbench.store.keys import FileHashes
from tests.oracles import alignment as oracle
from tests.oracles import scoring as plain
from tests.retokenising import retokenised

ALPHA_MIN = 0.05
SIZE = 640
SYSTEM = "Think."
END = "<|im_end|>"
PROBLEMS = load_problems(Data(train="embedded/multi_step", problems=4), None)
# Of merged letters, so that what they write can be written by shorter tokens: ` answer` and ` Then`, which
# every solution has, and such as these problems have little use for.
REMOVED = {290, 366, *range(SIZE - 88, SIZE)}


@dataclass(frozen=True)
class Compared:
    """A workspace, the rollouts of its expert, what its amateur reads for them, and the scores."""

    workspace: Workspace
    rollouts: list[Rollout]
    readings: list[Reading]
    scores: Scores


def compare(amateur: Path | str) -> Compared:
    expert, other = (
        locate(ModelReference(model=str(name)), FileHashes()) for name in ("embedded/expert", amateur)
    )
    workspace = Workspace(expert, other, Runtime(device="cpu"))
    tokenizer = workspace.expert.tokenizer
    rollouts = [
        Rollout(
            PROBLEMS.ids[index],
            0,
            tuple(render_prompt(tokenizer, text, SYSTEM)),
            (*tokenizer.encode(PROBLEMS.solutions[index]), end_of_turn(expert)),
        )
        for index, text in enumerate(PROBLEMS.texts)
    ]
    translator = Translator(workspace.pair.alignment, tokenizer, workspace.pair.tokenizers[1])
    readings = [
        translator.reading(rollout, text, SYSTEM)
        for rollout, text in zip(rollouts, PROBLEMS.texts, strict=True)
    ]
    scores = score_rollouts(workspace.pair.loaded_aligned, rollouts, alpha_min=ALPHA_MIN, readings=readings)
    return Compared(workspace, rollouts, readings, scores)


@pytest.fixture(scope="module")
def same() -> Compared:
    """Aligned by tokens where ids would do."""
    return compare("embedded/amateur")


@pytest.fixture(scope="module")
def renumbered(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """Every token of the amateur under another id, and another end of turn."""
    order = np.random.default_rng(0).permutation(SIZE).tolist()
    folder = tmp_path_factory.mktemp("renumbered") / "amateur"
    return compare(retokenised(model_folder("amateur"), folder, order, im_end="finish"))


@pytest.fixture(scope="module")
def poorer(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """The amateur without some tokens, the others under other ids."""
    kept = [token for token in range(SIZE) if token not in REMOVED]
    order = np.random.default_rng(1).permutation(kept).tolist()
    folder = tmp_path_factory.mktemp("poorer") / "amateur"
    return compare(retokenised(model_folder("amateur"), folder, order))


def assert_equal(left: Scores, right: Scores, tolerance: float) -> None:
    for name, expected in vars(left).items():
        if name != "covered" and expected is not None:
            np.testing.assert_allclose(getattr(right, name), expected, rtol=0, atol=tolerance, err_msg=name)


def test_a_pair_of_one_tokenizer_scores_the_same_by_tokens_as_by_ids(same: Compared) -> None:
    by_ids = score_rollouts(same.workspace.pair.loaded, same.rollouts, alpha_min=ALPHA_MIN)
    assert by_ids.covered is None
    assert_equal(by_ids, same.scores, 0)
    np.testing.assert_allclose(same.scores.covered, 1, atol=1e-6)


def test_renumbered_tokens_give_the_same_scores(same: Compared, renumbered: Compared) -> None:
    assert renumbered.readings != same.readings
    assert_equal(same.scores, renumbered.scores, 1e-5)
    np.testing.assert_allclose(renumbered.scores.covered, 1, atol=1e-6)


def test_scores_over_shared_tokens_equal_the_slow_way(poorer: Compared) -> None:
    expert, amateur = poorer.workspace.expert.tokenizer, poorer.workspace.pair.tokenizers[1]
    pair, scores = poorer.workspace.pair.loaded_aligned, poorer.scores
    shared = set(oracle.names(expert, END).values()) & set(oracle.names(amateur, END).values())
    ids = {name: index for index, name in oracle.names(expert, END).items()}
    assert len(shared) == SIZE - len(REMOVED)
    step = unshared = 0
    for rollout, text in zip(poorer.rollouts, PROBLEMS.texts, strict=True):
        read = oracle.read(list(rollout.completion_ids), expert, amateur, (END, END))
        for place, prefix in enumerate(plain.prefixes(rollout)):
            theirs = [*render_prompt(amateur, text, SYSTEM), *chain.from_iterable(read[:place])]
            p, p_mass = oracle.compared(pair.expert, expert, list(prefix), shared, END)
            q, q_mass = oracle.compared(pair.amateur, amateur, theirs, shared, END)
            order = sorted(shared, key=ids.__getitem__)
            p_list, q_list = [p[name] for name in order], [q[name] for name in order]
            assert scores.covered is not None
            assert scores.covered[step] == pytest.approx(min(p_mass, q_mass), abs=2e-5)
            assert scores.kl[step] == pytest.approx(plain.kl(p_list, q_list), abs=5e-5)
            assert scores.top1_expert[step] == ids[max(order, key=p.__getitem__)]
            assert scores.top1_amateur[step] == ids[max(order, key=q.__getitem__)]
            own = oracle.names(expert, END)[rollout.completion_ids[place]]
            for found, each in ((scores.own_log_p_expert, p), (scores.own_log_p_amateur, q)):
                assert found is not None
                expected = np.log(each[own]) if own in shared else np.nan
                assert found[step] == pytest.approx(expected, abs=5e-5, nan_ok=True)
            unshared += own not in shared
            assert scores.kl_reverse is not None
            assert scores.kl_reverse[step] == pytest.approx(plain.kl(q_list, p_list), abs=5e-5)
            span = slice(scores.offsets[step], scores.offsets[step + 1])
            support = [order[index] for index in plain.support(p_list, ALPHA_MIN)]
            assert scores.support_ids[span].tolist() == [ids[name] for name in support]
            np.testing.assert_allclose(
                scores.support_log_p_amateur[span], np.log([q[name] for name in support]), atol=5e-5
            )
            step += 1
    assert step == len(scores)
    assert 0 < unshared < step / 2
    assert scores.covered is not None
    assert scores.covered.min() < 0.9


def test_a_token_the_amateur_lacks_is_read_as_several(poorer: Compared) -> None:
    expert, amateur = poorer.workspace.expert.tokenizer, poorer.workspace.pair.tokenizers[1]
    split = 0
    for rollout, reading, text in zip(poorer.rollouts, poorer.readings, PROBLEMS.texts, strict=True):
        prompt = render_prompt(amateur, text, SYSTEM)
        assert reading.positions[0] == len(prompt) - 1
        assert reading.token_ids[: len(prompt)] == tuple(prompt)
        written = amateur.decode(reading.token_ids[len(prompt) :])
        assert written == expert.decode(rollout.completion_ids[:-1])
        assert reading.positions[-1] == len(reading.token_ids) - 1
        split += sum(after - before > 1 for before, after in pairwise(reading.positions))
    assert split > 0


def test_the_prompt_is_the_amateurs_own(renumbered: Compared) -> None:
    tokenizer = renumbered.workspace.pair.tokenizers[1]
    prompt = tokenizer.decode(renumbered.readings[0].token_ids[: renumbered.readings[0].positions[0] + 1])
    assert prompt.startswith(f"<|im_start|>system\n{SYSTEM}<|finish|>\n<|im_start|>user\n{PROBLEMS.texts[0]}")


def covered(*parts: Scores) -> CoveredMass:
    found = CoveredMass()
    for scores in parts:
        found.add(scores)
    return found


def test_what_is_covered_is_the_mean_of_all_steps_scored_so_far(poorer: Compared) -> None:
    """A last shard of few rollouts decides no more than its steps."""
    scores = poorer.scores
    assert scores.covered is not None
    least = replace(scores, covered=np.zeros_like(scores.covered))
    whole = float(scores.covered.mean())
    assert covered().mean == 1
    assert covered(scores).mean == pytest.approx(whole)
    assert covered(scores, scores, scores, least).mean == pytest.approx(whole * 3 / 4)


def test_too_little_on_shared_tokens_stops_with_what_is_missing(poorer: Compared) -> None:
    assert poorer.scores.covered is not None
    mean = float(poorer.scores.covered.mean())
    tokenizers = (poorer.workspace.expert.tokenizer, poorer.workspace.pair.tokenizers[1])

    def check(least_mass: float) -> None:
        pair = poorer.workspace.pair.loaded_aligned
        check_coverage(covered(poorer.scores), least_mass, pair, poorer.rollouts, poorer.readings, tokenizers)

    check(mean - 1e-4)
    with pytest.raises(RunError) as caught:
        check(mean + 1e-4)
    told = str(caught.value)
    assert f"hold {mean:.3f} of the probability on average over {len(poorer.scores):,} steps" in told
    assert f"pair.least_mass is {mean + 1e-4:g}" in told
    assert "Shared are 550 of the expert's 640 and 550 of the amateur's 550 tokens" in told
    lines = [line.split() for line in told.splitlines() if line.startswith("  ")]
    removed = {repr(poorer.workspace.expert.tokenizer.convert_ids_to_tokens(token)) for token in REMOVED}
    assert 1 <= len(lines) <= 5
    assert all(role == "expert" and name in removed for role, name, _ in lines)
    masses = [float(mass) for _, _, mass in lines]
    assert masses == sorted(masses, reverse=True)


def test_a_pair_that_shares_every_token_covers_all_whatever_is_rounded(renumbered: Compared) -> None:
    scores = renumbered.scores
    assert scores.covered is not None
    assert scores.covered.min() < 1
    tokenizers = (renumbered.workspace.expert.tokenizer, renumbered.workspace.pair.tokenizers[1])
    pair = renumbered.workspace.pair.loaded_aligned
    check_coverage(covered(scores), 1.0, pair, renumbered.rollouts, renumbered.readings, tokenizers)
    assert keep_covered(scores, 1.0).all()
    assert not keep_covered(replace(scores, covered=scores.covered - np.float32(1e-4)), 1.0).any()


def test_steps_with_too_little_on_shared_tokens_are_not_kept_but_counted(
    poorer: Compared, ingredients: Callable[[str], Ingredients]
) -> None:
    scores = poorer.scores
    assert scores.covered is not None
    # Between two steps that rounding cannot take for each other.
    lower = np.sort(scores.covered)[: len(scores) // 2]
    gap = int(np.diff(lower).argmax())
    least = float(lower[gap : gap + 2].mean())
    enough = scores.covered >= np.float32(least)
    assert 0 < enough.sum() < len(scores)
    beta = float(np.median(scores.kl))
    for arm, selected in (("lightr", scores.kl > np.float32(beta)), ("no_selection", True)):
        completed = ingredients(arm).completed(Divergence(beta=beta))
        kept = kept_steps({PAIR: scores}, completed.selector, least)
        assert kept.tolist() == (enough & selected).tolist()
        samples = build_samples(poorer.rollouts, {PAIR: scores}, completed, least)
        assert len(samples) == kept.sum()
    found = divergence_statistics(scores, enough, least)
    assert found["share_covered_too_little"] == pytest.approx(1 - enough.mean())
    assert found["mean_covered"] == pytest.approx(scores.covered.mean())
    assert found["least_covered"] == scores.covered.min()


def test_a_pair_of_one_tokenizer_says_nothing_of_coverage(same: Compared) -> None:
    everything = np.ones(len(same.scores), dtype=bool)
    found = divergence_statistics(replace(same.scores, covered=None), everything)
    assert not [name for name in found if "covered" in name]


def test_what_is_covered_survives_the_disk_and_reordering(poorer: Compared, tmp_path: Path) -> None:
    write_scores(tmp_path / "scores.parquet", poorer.scores)
    found = read_scores([tmp_path / "scores.parquet"] * 2)
    twice = concatenate([poorer.scores, poorer.scores])
    assert found.covered is not None
    assert twice.covered is not None
    np.testing.assert_array_equal(found.covered, twice.covered)
    ordered = in_rollout_order(found)
    assert ordered.covered is not None
    np.testing.assert_array_equal(ordered.covered[::2], poorer.scores.covered)


TOKENS = {"a": 0, "b": 1, "c": 2, "<end>": 3}


def aligned_ids(other: dict[str, int], ends: tuple[int, int], rows: tuple[int, int] = (9, 9)) -> list[Any]:
    found = align_tokens(TOKENS, rows[0], other, rows[1], ends)
    return list(zip(found.expert_ids.tolist(), found.amateur_ids.tolist(), strict=True))


def test_ends_of_turn_are_one_token_whatever_they_are_called() -> None:
    assert aligned_ids({"<stop>": 0, "c": 1, "a": 5}, (3, 0)) == [(0, 5), (2, 1), (3, 0)]


def test_an_end_of_turn_is_matched_with_nothing_else() -> None:
    # The amateur also has a token called as the expert's end, and the expert one called as the amateur's.
    assert aligned_ids({"<end>": 0, "c": 1, "a": 2}, (3, 2)) == [(2, 1), (3, 2)]


def test_tokens_beyond_an_output_layer_are_not_shared() -> None:
    assert aligned_ids({"a": 0, "b": 1, "c": 7, "<end>": 2}, (3, 2), (9, 6)) == [(0, 0), (1, 1), (3, 2)]


def test_a_pair_without_a_common_token_is_refused() -> None:
    with pytest.raises(VocabularyMismatchError, match="do not share a single token"):
        align_tokens({"a": 0, "end": 9}, 5, {"b": 0, "fin": 9}, 5, (9, 9))


class Letters:
    """A tokenizer whose tokens are given; it decodes by `written` and encodes letter by letter."""

    chat_template = None
    added_tokens_decoder: ClassVar[dict[int, Any]] = {}

    def __init__(self, *tokens: str, written: dict[str, str] | None = None) -> None:
        self.tokens = tokens
        self.written = written or {}

    def get_vocab(self) -> dict[str, int]:
        return {token: index for index, token in enumerate(self.tokens)}

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        return [self.tokens.index(letter) for letter in text if letter in self.tokens]

    def convert_ids_to_tokens(self, token: int) -> str:
        return self.tokens[token]

    def decode(self, ids: Sequence[int], clean_up_tokenization_spaces: bool) -> str:
        name = "".join(self.tokens[token] for token in ids)
        return self.written.get(name, name)


PART = "\N{REPLACEMENT CHARACTER}"


def read_by(amateur: Letters) -> tuple[int, ...]:
    """What the amateur reads after the prompt for `ÃŃ`, two bytes of a longer character, then `a`."""
    expert = Letters("end", "a", "ÃŃ", written={"ÃŃ": PART})
    ends = (0, amateur.tokens.index("fin"))
    alignment = align_tokens(expert.get_vocab(), 9, amateur.get_vocab(), 9, ends)
    reading = Translator(alignment, expert, amateur).reading(Rollout("p", 0, (1,), (2, 1, 0)), "aa", None)
    return reading.token_ids[reading.positions[0] + 1 :]


def test_a_part_of_a_character_is_read_byte_by_byte() -> None:
    assert read_by(Letters("a", "fin", "Ń", "Ã", written={"ÃŃ": PART})) == (3, 2, 0)


@pytest.mark.parametrize("tokens", [("a", "fin", "Ã"), ("a", "fin", "Ã", "Ń")])
def test_a_part_of_a_character_that_the_amateur_cannot_write_is_refused(tokens: tuple[str, ...]) -> None:
    # The second has both letters, but they stand for themselves and not for bytes.
    with pytest.raises(ModelError, match=r"token 2 \('ÃŃ'\) is a part of a character"):
        read_by(Letters(*tokens))


def test_the_expert_reads_all_but_the_last_token() -> None:
    reading = own_reading(Rollout("p", 0, (5, 6, 7), (1, 2)))
    assert reading == Reading((5, 6, 7, 1), (2, 3))


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.floats(0.1, 30))
def test_shared_tokens_hold_a_probability_and_renormalised_all_of_it(
    seed: int, size: int, spread: float
) -> None:
    random = np.random.default_rng(seed)
    ids = np.sort(random.choice(12, size, replace=False))
    logits = torch.from_numpy(random.normal(scale=spread, size=(4, 12)).astype(np.float32))
    shared, covered = restricted(logits, torch.from_numpy(ids))
    expected = torch.softmax(logits.double(), -1)[:, torch.from_numpy(ids)]
    assert ((covered >= 0) & (covered <= 1)).all()
    torch.testing.assert_close(covered.double(), expected.sum(-1), rtol=1e-4, atol=1e-6)
    assert torch.equal(shared, logits[:, torch.from_numpy(ids)])


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.floats(0.1, 8))
def test_renormalised_probabilities_sum_to_one_under_the_experts_ids(
    seed: int, size: int, spread: float
) -> None:
    random = np.random.default_rng(seed)
    ours, theirs = random.permutation(12)[:size], random.permutation(15)[:size]
    expert = {f"t{number}": int(index) for number, index in enumerate(ours)} | {"end": 12}
    amateur = {f"t{number}": int(index) for number, index in enumerate(theirs)} | {"fin": 15}
    alignment = align_tokens(expert, 13, amateur, 16, (12, 15))
    logits = [
        torch.from_numpy(random.normal(scale=spread, size=(3, width)).astype(np.float32))
        for width in (alignment.expert.size, alignment.amateur.size)
    ]
    own = torch.tensor([-1, 0, size])
    columns = aligned_columns(logits[0], logits[1], own, alignment, 1e-30)
    support = columns["support_ids"].reshape(3, size + 1)
    assert (support == sorted([*ours.tolist(), 12])).all()
    for side in ("expert", "amateur"):
        stored = columns[f"support_log_p_{side}"].reshape(3, -1)
        expected = [np.nan, stored[1, 0], stored[2, size]]
        np.testing.assert_allclose(columns[f"own_log_p_{side}"], expected, atol=1e-5)
        sums = np.exp(columns[f"support_log_p_{side}"].astype(np.float64)).reshape(3, -1).sum(-1)
        np.testing.assert_allclose(sums, 1, atol=1e-5)
        assert set(columns[f"top1_{side}"].tolist()) <= {*ours.tolist(), 12}
    assert (columns["kl"] >= -1e-5).all()
    assert ((columns["covered"] >= 0) & (columns["covered"] <= 1)).all()


def test_an_id_that_several_strings_have_is_matched_once() -> None:
    expert = {"a": 0, "b": 1, "c": 2, "end": 3}
    amateur = {"a": 5, "b": 5, "c": 6, "stop": 7}
    found = align_tokens(expert, 4, amateur, 8, ends_of_turn=(3, 7))
    assert found.expert_ids.tolist() == [0, 2, 3]
    assert found.amateur_ids.tolist() == [5, 6, 7]
