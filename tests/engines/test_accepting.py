"""Reverse speculative decoding: one model draws, another takes the token or draws its own."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lrbench.sampling.engines.accepting import JUDGE, JUDGING, WRITER, Accepted
from lrbench.sampling.engines.answered import Answered
from lrbench.sampling.engines.base import Decoding
from lrbench.sampling.engines.lockstep import LockstepEngine
from lrbench.sampling.engines.transformers import TransformersEngine
from tests.engines.lockstep import NO_TOKENS, PROMPTS, RULES, TOKENS, Ids

pytestmark = pytest.mark.usefixtures("refilled")
DRAWN = Decoding(0.8)
DRAWS = [11 * place for place in range(len(PROMPTS))]


def judged(
    models: dict[str, Any], batch_size: int = 4, decoding: Decoding = DRAWN, **rule: Any
) -> list[Answered]:
    both = {WRITER: models["teacher"], JUDGE: models["expert"]}
    answer = Accepted(**{"tries": 5, "top": None, **rule})
    return LockstepEngine(both, answer, RULES, batch_size).answer(PROMPTS, TOKENS, decoding, DRAWS)


def alone(model: Any, offset: int = 0, decoding: Decoding = DRAWN) -> list[Ids]:
    seeds = [seed + offset for seed in DRAWS]
    return TransformersEngine(model, RULES, 4).complete(PROMPTS, TOKENS, decoding, seeds)


def probabilities(model: Any, prompt: Ids, completion: Ids) -> list[torch.Tensor]:
    """(V,) at every step of a completion, at the temperature that it is written at."""
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *completion]])).logits[0].float()
    logits[:, list(NO_TOKENS)] = -torch.inf
    return list((logits[len(prompt) - 1 : -1] / DRAWN.temperature).softmax(-1))


def test_what_takes_everything_leaves_the_writer_alone(models: dict[str, Any]) -> None:
    answers = judged(models, above=0.0)
    assert [answer.completion for answer in answers] == alone(models["teacher"])
    assert {origin for answer in answers for origin in answer.origins} == {WRITER}
    assert all(answer.written == len(answer.completion) for answer in answers)


def test_what_takes_nothing_is_the_judge_alone(models: dict[str, Any]) -> None:
    answers = judged(models, above=1.1)
    assert [answer.completion for answer in answers] == alone(models["expert"], JUDGING)
    assert {origin for answer in answers for origin in answer.origins} == {JUDGE}
    # What was drawn five times in vain was drawn too; it takes no forward of its own.
    assert all(answer.written == 6 * len(answer.completion) for answer in answers)
    assert all(answer.passes == dict.fromkeys((WRITER, JUDGE), len(answer.completion)) for answer in answers)


def test_from_a_nucleus_each_of_the_two_writes_as_it_does_alone(models: dict[str, Any]) -> None:
    """A step is of whoever writes it, and what is taken goes by the whole of the other's distribution."""
    nucleus = Decoding(DRAWN.temperature, 0.6)
    for above, name, offset in ((0.0, "teacher", 0), (1.1, "expert", JUDGING)):
        answers = judged(models, decoding=nucleus, above=above)
        assert [answer.completion for answer in answers] == alone(models[name], offset, nucleus)
    for prompt, answer in zip(PROMPTS, judged(models, decoding=nucleus, above=0.05), strict=True):
        chances = {
            origin: probabilities(models[name], prompt, answer.completion)
            for origin, name in ((WRITER, "teacher"), (JUDGE, "expert"))
        }
        for step, (token, origin) in enumerate(zip(answer.completion, answer.origins, strict=True)):
            chance = chances[origin][step]
            assert chance[chance > chance[token]].sum() < nucleus.top_p + 1e-5
            assert origin == JUDGE or chances[JUDGE][step][token] >= 0.05 - 1e-5


@pytest.mark.parametrize("rule", [{"above": 0.05}, {"above": 0.0, "top": 6}, {"above": 0.03, "top": 4}])
def test_every_token_of_the_writer_is_likely_enough_to_the_judge(
    models: dict[str, Any], rule: dict[str, Any]
) -> None:
    """Each model by itself, over what was written, says so too."""
    origins = []
    for prompt, answer in zip(PROMPTS, judged(models, **rule), strict=True):
        found = probabilities(models["expert"], prompt, answer.completion)
        for chance, token, origin in zip(found, answer.completion, answer.origins, strict=True):
            origins.append(origin)
            among = int((chance > chance[token]).sum())
            assert among < rule.get("top", len(chance))
            if origin == WRITER:
                assert chance[token] >= rule["above"] - 1e-5
    assert set(origins) == {WRITER, JUDGE}


def test_tries_decide_how_much_the_writer_may_say(models: dict[str, Any]) -> None:
    def share(tries: int) -> float:
        origins = [origin for answer in judged(models, above=0.05, tries=tries) for origin in answer.origins]
        return origins.count(WRITER) / len(origins)

    assert share(1) < share(20)


def test_which_rows_are_written_together_changes_nothing(models: dict[str, Any]) -> None:
    several, one = (judged(models, size, above=0.05) for size in (7, 1))
    assert [answer.completion for answer in several] == [answer.completion for answer in one]
