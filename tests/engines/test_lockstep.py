"""What several models, or rules, write together, whatever the answer is: rows, sizes, sampling and memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch

from lrbench.errors import RunError
from lrbench.methods.answers import (
    ANSWERS,
    OWN,
    Again,
    Answer,
    Force,
    Plain,
    Prefill,
    Route,
    StopBias,
    Vote,
)
from lrbench.methods.cache_shift import CacheShift
from lrbench.sampling.engines.base import Decoding, TokenRules
from lrbench.sampling.engines.lockstep import LockstepEngine, Phase
from lrbench.sampling.engines.lockstep import alone as by_itself
from lrbench.sampling.engines.padding import Padding
from lrbench.sampling.engines.transformers import TransformersEngine
from tests.engines.lockstep import (
    NO_TOKENS,
    PROMPTS,
    RULES,
    SPEECH,
    STOPS,
    TOKENS,
    alone,
    answers_by,
    budget,
    chain,
    lead,
    mix,
    rewrite,
    route,
    take_over,
    written_by,
)
from tests.oracles.mixing import mixed

pytestmark = pytest.mark.usefixtures("refilled")


def test_one_model_writes_what_its_own_engine_writes(models: dict[str, Any]) -> None:
    expected = alone(models[OWN])
    assert len({len(completion) for completion in expected}) > 2
    for answer in (Plain(), Prefill(prefill=""), Vote(vote=1)):
        assert written_by(models, answer) == expected


def test_every_answer_is_known_to_the_engine() -> None:
    # A cache is moved where rows leave it alone; tests/engines/test_cache_shift.py.
    assert {type(answer) for answer in KNOWN} == set(ANSWERS) - {CacheShift}


KNOWN: list[Answer] = [
    Plain(),
    Prefill(prefill=""),
    Vote(vote=1),
    Again(again="1/2"),
    mix(alpha=0.2, expert=1, amateur=-1),
    mix({"signal": "kl", "above": 2.5}, expert=1, amateur=-1),
    mix({"signal": "step", "below": 3}, expert=1, amateur=-1),
    mix(peer=1, tuned=1, expert=-1),
    route(signal="entropy", above=2.8),
    Route.model_validate({"route": {"to": "teacher", "first": {"signal": "log_p", "below": -2.5}}}),
    lead(tokens=3, share=0.5),
    StopBias(stop_bias=1.5),
    budget(at_least=5, at_most=8),
    Force(force={"20": "21", "33": "34"}, first=2),
    chain("teacher", OWN, tokens=4),
    take_over(after="33", cues={"reflect": ["20", "45"]}, draft=2),
    rewrite(after="33", below=-4.6),
    chain("teacher", OWN, place="answer", tokens=4, tell="{plan} 30"),
]


@pytest.mark.parametrize("answer", KNOWN, ids=lambda answer: answer.label)
def test_every_token_has_an_origin_and_what_it_took_is_counted(
    models: dict[str, Any], answer: Answer
) -> None:
    for answered in answers_by(models, answer):
        count = len(answered.completion)
        assert len(answered.origins) == count > 0
        assert set(answered.passes) <= answer.models
        assert all(passes > 0 for passes in answered.passes.values())
        if not answer.in_turns:
            assert answered.written == count >= max(answered.passes.values())


@pytest.mark.parametrize("answer", KNOWN, ids=lambda answer: answer.label)
def test_rows_are_the_same_whatever_is_written_beside_them(models: dict[str, Any], answer: Answer) -> None:
    assert answers_by(models, answer, batch_size=1) == answers_by(models, answer)


class Relay(Answer):
    """A package's own answer: the teacher writes two tokens, the peer all others."""

    word: ClassVar[str] = "relay"

    relay: str

    def phases(self) -> tuple[Phase, ...]:
        return (replace(by_itself("teacher"), tokens=2), by_itself(self.relay))


def test_an_answer_of_another_package_says_how_it_is_written(models: dict[str, Any]) -> None:
    for prompt, answered in zip(PROMPTS, answers_by(models, Relay(relay="peer")), strict=True):
        begun = alone(models["teacher"], [prompt], 2)[0]
        assert answered.completion[:2] == begun
        assert answered.origins[2:] == ("peer",) * (len(answered.completion) - len(begun))


def test_an_answer_that_nobody_can_write_is_refused(models: dict[str, Any]) -> None:
    class Silent(Answer):
        word: ClassVar[str] = "silent"

    with pytest.raises(RunError, match="does not know how to write an answer by `silent`"):
        LockstepEngine(models, Silent(), RULES, 4)


# ---- models of different sizes, sampling, memory


def widened(model: Any, rows: int) -> Any:
    """The same model with another number of output rows, whose favourites are the last of them."""
    model.resize_token_embeddings(rows, mean_resizing=False)
    return model.requires_grad_(False)


def test_ids_that_one_of_the_models_has_no_row_for_are_never_chosen(tiny_model: Callable[..., Any]) -> None:
    models = {"expert": tiny_model(seed=5), "amateur": widened(tiny_model(seed=6), 48)}
    models["peer"] = widened(tiny_model(seed=7), 96)
    prompts = [tuple(token % 48 for token in prompt) for prompt in PROMPTS]
    found = LockstepEngine(models, mix(expert=1, amateur=-1, peer=0.5), RULES, 4).complete(prompts, TOKENS)
    assert max(map(max, found)) < 48
    assert found == [
        mixed(
            models,
            {"expert": 1, "amateur": -1, "peer": 0.5},
            prompt,
            TOKENS,
            STOPS,
            size=48,
            unused=tuple(token for token in NO_TOKENS if token < 48),
        )
        for prompt in prompts
    ]
    with pytest.raises(RunError, match="token 50, and the model has rows for tokens up to 47"):
        LockstepEngine(models, mix(expert=1, amateur=-1), RULES, 4).complete([(50,)], TOKENS)


def test_an_answer_ends_where_the_shortest_context_is_full(
    models: dict[str, Any], tiny_model: Callable[..., Any]
) -> None:
    short = tiny_model(seed=6)
    short.config.max_position_embeddings = 30
    endless = TokenRules((), NO_TOKENS, 256, 64)
    engine = LockstepEngine(models | {"amateur": short}, mix(expert=1, amateur=-1), endless, 4)
    found = engine.complete(PROMPTS, 40)
    assert {len(prompt) + len(ids) for prompt, ids in zip(PROMPTS, found, strict=True)} == {30}


@pytest.mark.parametrize("answer", KNOWN, ids=lambda answer: answer.label)
def test_samples_are_rows_own_and_repeat(models: dict[str, Any], answer: Answer) -> None:
    seeds = [11 * place for place in range(len(PROMPTS))]
    one, other = (
        LockstepEngine(models, answer, RULES, size, None, int, SPEECH).complete(
            PROMPTS, TOKENS, Decoding(1.0), seeds
        )
        for size in (3, 9)
    )
    assert one == other != written_by(models, answer)


def test_what_goes_on_after_a_leader_is_not_sampled_with_the_same_noise(models: dict[str, Any]) -> None:
    same = models | {"teacher": models[OWN]}
    engine = LockstepEngine(same, lead(tokens=1), RULES, 4)
    sampled, seeds = Decoding(1.0), [3] * len(PROMPTS)
    led = engine.complete(PROMPTS, TOKENS, sampled, seeds)
    plain = TransformersEngine(models[OWN], RULES, 4).complete(PROMPTS, TOKENS, sampled, seeds)
    assert [ids[:1] for ids in led] == [ids[:1] for ids in plain]
    assert led != plain


def test_rows_that_do_not_fit_into_memory_are_halved_for_all_models(
    models: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = mix(alpha=0.2, expert=1, amateur=-1)
    expected = answers_by(models, answer)
    real = models["amateur"].forward

    def forward(*arguments: Any, **options: Any) -> Any:
        if len(options["input_ids"]) > 2:
            raise torch.OutOfMemoryError
        return real(*arguments, **options)

    monkeypatch.setattr(models["amateur"], "forward", forward)
    engine = LockstepEngine(models, answer, RULES, 4, token_of=int)
    assert engine.answer(PROMPTS, TOKENS) == expected
    assert engine.batch_size == 2


def test_the_batch_size_is_found_for_all_models_together(
    models: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrbench.sampling.engines.lockstep.rows_that_fit", lambda *_: 6)
    sizes: list[int] = []
    real = models["expert"].forward

    def forward(*arguments: Any, **options: Any) -> Any:
        sizes.append(len(options["input_ids"]))
        return real(*arguments, **options)

    monkeypatch.setattr(models["expert"], "forward", forward)
    engine = LockstepEngine(models, mix(expert=1, amateur=-1), RULES, "auto")
    found = engine.complete(PROMPTS, TOKENS)
    assert max(sizes) == 3
    assert found == written_by(models, mix(expert=1, amateur=-1))


def test_padding_is_counted_once_for_models_that_read_the_same(models: dict[str, Any]) -> None:
    padding = Padding()
    engine = LockstepEngine(models, mix(expert=1, amateur=-1), RULES, 1, padding)
    found = engine.complete(PROMPTS, TOKENS)
    needed = sum(len(prompt) + len(ids) - 1 for prompt, ids in zip(PROMPTS, found, strict=True))
    assert padding.computed == padding.needed == needed
