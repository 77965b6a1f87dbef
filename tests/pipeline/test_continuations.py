"""Which steps a rollout depends on, in a world small enough to be worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from lrbench.methods.continued import Continued, Continuing
from lrbench.methods.presets import BY_NAME
from lrbench.methods.readings import PAIR
from lrbench.methods.selectors import All, Rule
from lrbench.methods.source import Source
from lrbench.methods.sources import Greedy, Solutions
from lrbench.methods.steps import unscored
from lrbench.methods.writers import Written
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.pipeline.progress import Silent
from lrbench.pipeline.stages import continuations as stage_module
from lrbench.pipeline.stages.continuations import Continuations
from lrbench.recipe.schema import EngineChoice, Sampling
from lrbench.sampling.continuing import read_verdicts, tried_steps
from lrbench.sampling.engines.base import Decoding, Engine, Request, TokenRules
from lrbench.sampling.problems import Problems
from lrbench.sampling.rollouts import Rollout, write_rollouts
from lrbench.sampling.samples import build_samples
from lrbench.sampling.scores import NO_SCORES, Scores, write_scores
from lrbench.store.artifact import Artifact
from lrbench.store.keys import stage_key
from lrbench.store.store import Store

STOP, FIVE, SEVEN, START = 0, 3, 4, 9
TEXTS = {1: "a", 2: "b", FIVE: r"\boxed{5}", SEVEN: r"\boxed{7}", 5: "c", 6: "d", 7: "e", START: "?"}
# After each token, the likeliest ones in their order: what comes next depends on the last token alone.
TABLE = {
    START: (1, 2, SEVEN),
    1: (FIVE, 5, 6),
    2: (FIVE, 1, 6),
    FIVE: (STOP, SEVEN, 7),
    SEVEN: (STOP, 1, 2),
    5: (SEVEN, STOP, 1),
    6: (SEVEN, STOP, 1),
    7: (STOP, 1, 2),
}
TOKENS = 10
RIGHT = (1, FIVE, STOP)
# Of RIGHT: `b` leads to 5 as well, the third choice is 7; after `a` both others lead to 7; after the answer
# the second choice writes 7 over it, and the third leaves it.
FAILING = ([True, True, True], [False, True, False])


class TableModel:
    """A model whose hidden state is its last token."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        self.layer = torch.nn.Linear(TOKENS, TOKENS, bias=False)
        weights = torch.zeros(TOKENS, TOKENS)
        for token, following in TABLE.items():
            for place, choice in enumerate(following):
                weights[choice, token] = 3.0 - place
        self.layer.weight.data = weights

    def base_model(self, input_ids: torch.Tensor, use_cache: bool) -> Any:
        return SimpleNamespace(
            last_hidden_state=torch.nn.functional.one_hot(input_ids.long(), TOKENS).float()
        )

    def get_output_embeddings(self) -> torch.nn.Linear:
        return self.layer


class TableEngine(Engine):
    """Writes greedily by the table; `asked` are all prompts."""

    name = "hf"
    rules = TokenRules((STOP,), (), 64, TOKENS)

    def __init__(self) -> None:
        self.asked: list[tuple[int, ...]] = []

    def complete_requests(self, requests: Sequence[Request], decoding: Decoding) -> list[tuple[int, ...]]:
        self.asked += [request.prompt for request in requests]
        return [self._written(request) for request in requests]

    def _written(self, request: Request) -> tuple[int, ...]:
        ids = list(request.prompt)
        while len(ids) < len(request.prompt) + request.max_new_tokens:
            ids.append(TABLE[ids[-1]][0])
            if ids[-1] == STOP:
                break
        return tuple(ids[len(request.prompt) :])


class World:
    """A workspace with the table, the stage of it, and its rollouts on disk."""

    def __init__(self, folder: Path, rollouts: Sequence[Rollout], answers: Sequence[str | None]) -> None:
        self.engine = TableEngine()
        ids = list(dict.fromkeys(rollout.problem_id for rollout in rollouts))
        count = len(ids)
        self.problems = Problems(["multi_step"] * count, ids, ["?"] * count, [*answers], [None] * count)
        self.rollouts = rollouts
        self.folder = folder
        write_rollouts(folder / "part-00000.parquet", rollouts)

    def stage(self, continuing: Continuing, checked: bool) -> Continuations:
        source: Any = SimpleNamespace(
            problems=self.problems,
            longest=6,
            size=len(self.problems.ids),
            sampling=Sampling(engine=EngineChoice()),
            label="rollouts",
        )
        return Continuations(SimpleNamespace(), source, continuing, checked)  # type: ignore[arg-type]

    @property
    def workspace(self) -> Any:
        @contextmanager
        def opened(_choice: EngineChoice) -> Iterator[Engine]:
            yield self.engine

        return SimpleNamespace(
            expert=SimpleNamespace(
                weights=TableModel(),
                vocabulary=SharedVocabulary(TOKENS, (), ""),
                turn_marks=SimpleNamespace(stops=(STOP,)),
                tokenizer=SimpleNamespace(decode=lambda ids: "".join(TEXTS[token] for token in ids)),
            ),
            engines=SimpleNamespace(open=opened),
        )

    def artifact(self, name: str) -> Any:
        path = self.folder / name
        return SimpleNamespace(files=[SimpleNamespace(name=name)], file=lambda _: path)

    def made(self, stage: Continuations, scores: Scores | None = None) -> Artifact:
        inputs = {"rollouts": self.artifact("part-00000.parquet")}
        if scores is not None:
            write_scores(self.folder / "scores.parquet", scores)
            inputs["scores"] = self.artifact("scores.parquet")
        store, key = Store(self.folder / "store"), stage_key(stage.name, 1, {}, {})
        with store.lock(stage.name, key):
            draft = store.draft(stage.name, 1, key, {}, {})
            try:
                return draft.finish(stage.work(draft, inputs, self.workspace, Silent()))
            except BaseException:
                draft.let_go()
                raise

    def kept(self, made: Artifact, selector: Continued) -> list[bool]:
        verdicts = read_verdicts(sorted(made.directory.glob("*.parquet")))
        lengths = [rollout.steps for rollout in self.rollouts]
        kept: list[bool] = selector.keep({selector.continuing.view: verdicts.view(lengths)}).tolist()
        return kept


def rollout(problem: str = "p", sample: int = 0, written: tuple[int, ...] = RIGHT) -> Rollout:
    return Rollout(problem, sample, (START,), written)


def critical(**settings: Any) -> Continued:
    return Continued(signal="critical", **settings)


def scores_of(first: Sequence[int], second: Sequence[int]) -> Scores:
    """Scores of one rollout that say no more than what both models would write."""
    steps, zeros = np.arange(len(first), dtype=np.int32), np.zeros(len(first), dtype=np.float32)
    return replace(
        NO_SCORES,
        rollout=np.zeros(len(first), dtype=np.int32),
        step=steps,
        kl=zeros,
        entropy_expert=zeros,
        entropy_amateur=zeros,
        top1_expert=np.array(first, dtype=np.int32),
        top1_amateur=np.array(second, dtype=np.int32),
        offsets=np.arange(len(first) + 1, dtype=np.int64),
        support_ids=np.array(first, dtype=np.int32),
        support_log_p_expert=zeros,
        support_log_p_amateur=zeros,
    )


def test_what_is_critical_is_what_a_hand_made_table_says(tmp_path: Path) -> None:
    world = World(tmp_path, [rollout()], ["5"])
    selector = critical()
    made = world.made(world.stage(selector.continuing, checked=True))
    any_fails, all_fail = FAILING
    assert world.kept(made, selector) == all_fail
    assert world.kept(made, critical(all=False)) == any_fails
    assert made.statistics == {
        "unanswered": 0,
        "continuations": 6,
        "continued_tokens": 2 + 1 + 2 + 2 + 1 + 1,
        "tried_tokens": 6,
        "failed_tokens": 4,
    }
    views = {selector.continuing.view: read_verdicts(sorted(made.directory.glob("*.parquet"))).view([3])}
    (view,) = views.values()
    step = {
        name: replace(view, **{k: v[1:2] for k, v in vars(view).items() if v is not None}) for name in views
    }
    assert selector.reason(step, True) == "Kept: 2 of 2 other tokens lead away from the answer."


def test_without_labels_the_rollout_s_own_answer_counts(tmp_path: Path) -> None:
    """A wrong rollout depends on other steps, and the problem's answer is not looked at."""
    wrong = rollout(written=(1, 5, SEVEN, STOP))
    for place, answers in enumerate((["5"], [None])):
        folder = tmp_path / str(place)
        folder.mkdir()
        world = World(folder, [wrong], answers)
        made = world.made(world.stage(critical().continuing, checked=False))
        # 7 is a choice of the first step, and `d` leads there too; else all others lead away or end early.
        assert world.kept(made, critical()) == [False, False, True, True]


def test_a_rollout_without_an_answer_is_not_continued(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, [rollout(written=(1, 5)), rollout("q", written=(2, STOP))], [None, None])
    made = world.made(world.stage(critical().continuing, checked=False))
    assert (made.statistics["unanswered"], made.statistics["tried_tokens"]) == (2, 0)
    assert "2 of 2 rollouts are not finished with an answer" in caplog.text
    assert not any(world.kept(made, critical()))


def test_where_both_models_choose_the_same_nothing_is_divergent(tmp_path: Path) -> None:
    """The amateur would write `b`, 7 and the end: only its 7 is another choice with another answer."""
    world = World(tmp_path, [rollout()], [None])
    selector = Continued(signal="divergent")
    scores = scores_of((1, FIVE, STOP), (2, SEVEN, STOP))
    made = world.made(world.stage(selector.continuing, checked=False), scores)
    kept = world.kept(made, selector)
    assert kept == [False, True, False]
    assert set(np.flatnonzero(kept)) <= set(np.flatnonzero(scores.top1_expert != scores.top1_amateur))
    # The expert goes on, from the other model's token.
    assert world.engine.asked == [(START, 2), (START, 1, SEVEN)]


def test_samples_that_begin_alike_are_continued_once(tmp_path: Path) -> None:
    world = World(tmp_path, [rollout(), rollout(sample=1)], ["5"])
    made = world.made(world.stage(critical().continuing, checked=True))
    assert (made.statistics["tried_tokens"], made.statistics["continuations"]) == (12, 6)
    assert world.kept(made, critical()) == FAILING[1] * 2


def test_what_is_cut_fails(tmp_path: Path) -> None:
    world = World(tmp_path, [rollout()], ["5"])
    selector = critical(tokens=1)
    made = world.made(world.stage(selector.continuing, checked=True))
    # One token is enough to end what has its answer already, and for no more.
    assert world.kept(made, selector) == [True, True, False]


def test_killed_between_shards_the_bytes_are_those_of_an_undisturbed_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_module, "PROBLEMS_PER_SHARD", 1)
    worlds = []
    for name in ("undisturbed", "killed"):
        (tmp_path / name).mkdir()
        problems = [rollout(name, written=(1, FIVE, STOP)) for name in "pqr"]
        worlds.append(World(tmp_path / name, problems, ["5", "7", "5"]))
    undisturbed, killed = worlds
    stage = undisturbed.stage(critical().continuing, checked=True)
    whole = undisturbed.made(stage)
    judge = Continuations._judge

    def die(self: Continuations, index: int, *rest: Any) -> Any:
        if index == 1:
            raise KeyboardInterrupt
        return judge(self, index, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Continuations, "_judge", die)
        with pytest.raises(KeyboardInterrupt):
            killed.made(stage)
    done = len(killed.engine.asked)
    assert 0 < done < len(undisturbed.engine.asked)
    assert killed.made(stage).content_hash == whole.content_hash
    assert len(killed.engine.asked) == len(undisturbed.engine.asked), "a shard was made twice"


@pytest.mark.parametrize(("stride", "cap", "expected"), [(1, None, 12), (3, None, 6), (2, 4, 4)])
def test_no_more_steps_are_tried_than_stride_and_cap_allow(
    stride: int, cap: int | None, expected: int
) -> None:
    lengths = [7, 1, 4]
    tried = tried_steps(lengths, stride, cap)
    assert tried.sum() == expected
    assert not (tried & (unscored(lengths).step % stride != 0)).any()
    assert (tried <= tried_steps(lengths, stride, None)).all()


def test_where_every_step_is_critical_it_is_learning_from_all_own_tokens() -> None:
    """All of sft: the same steps with the same targets, so the same loss."""
    rollouts = [rollout(), rollout("q", written=(2, FIVE, STOP))]
    sft = BY_NAME["sft"].ingredients
    assert sft is not None
    selector = critical()
    places = unscored([3, 3])
    ones = np.ones(6, dtype=np.float32)
    kept = selector.keep({selector.continuing.view: replace(places, tried=ones, failed=ones)})
    every = build_samples(rollouts, {}, sft.model_copy(update={"selector": selector}), None, kept)
    plain = build_samples(rollouts, {}, sft.model_copy(update={"selector": All()}))
    for name in ("rollout", "step"):
        np.testing.assert_array_equal(getattr(every, name), getattr(plain, name))
    for name in ("offsets", "ids", "weights"):
        np.testing.assert_array_equal(getattr(every.targets, name), getattr(plain.targets, name))


def test_as_many_random_steps_as_are_critical_need_the_same_continuations() -> None:
    matched = Rule(signal="random", match="cft").matching(lambda _: critical()).seeded(0)
    assert matched.continuings == critical().continuings
    assert matched.readings == frozenset()
    view = critical().continuing.view
    tried = replace(
        unscored([3, 2]),
        tried=np.full(5, 2, dtype=np.float32),
        failed=np.array([2, 2, 1, 0, 2], dtype=np.float32),
    )
    kept = matched.keep({PAIR: unscored([3, 2]), view: tried})
    assert [int(kept[:3].sum()), int(kept[3:].sum())] == [2, 1]


@pytest.mark.parametrize(
    ("source", "is_right"),
    [
        (Solutions(), True),
        (Greedy(), False),
        (Written(writer="expert", check="right"), True),
        (Written(writer="expert", check="wrong"), False),
        (Written(writer="teacher", check="any"), False),
        (Written(writer="teacher", shape="correction"), True),
    ],
)
def test_continuations_are_held_to_the_right_answer_where_rollouts_were(
    source: Source, is_right: bool
) -> None:
    assert source.is_right == is_right
