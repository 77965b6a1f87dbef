"""A route that a network decides: at its limits one of both models, in between as it says by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lrbench.errors import RunError
from lrbench.methods.answers import OWN, Route
from lrbench.models.forward import hidden_states, pad_right
from lrbench.sampling.engines.answered import Answered, tally
from lrbench.sampling.engines.base import Decoding
from lrbench.sampling.engines.learnt_routing import watching
from lrbench.sampling.engines.lockstep import LockstepEngine
from lrbench.sampling.engines.transformers import TransformersEngine
from lrbench.sampling.routers import RouterNetwork, Shape
from tests.engines.lockstep import NO_TOKENS, PROMPTS, RULES, STOPS, TOKENS, alone
from tests.oracles.mixing import mixed

LEARNT = Route.model_validate({"route": {"to": "teacher", "router": "learnt"}})
TOP = 5


@pytest.fixture
def network(models: dict[str, Any]) -> RouterNetwork:
    """One that knows nothing, with an opinion on everything."""
    torch.manual_seed(3)
    size = models[OWN].config.hidden_size
    return RouterNetwork(Shape(size, size, TOP, 8, 2, 0.1)).eval()


def routed(
    models: dict[str, Any], network: RouterNetwork, bound: float, decoding: Decoding | None = None
) -> list[Answered]:
    with watching(network, bound, models[OWN]) as watched:
        engine = LockstepEngine(models, LEARNT, RULES, 4, router=watched)
        return (
            engine.answer(PROMPTS, TOKENS) if decoding is None else engine.answer(PROMPTS, TOKENS, decoding)
        )


def chance(models: dict[str, Any], network: RouterNetwork, prefix: tuple[int, ...]) -> float:
    """What the network makes of what comes after a prefix, from one forward over all of it."""
    model = models[OWN]
    with torch.no_grad():
        hidden_D = hidden_states(model, pad_right([prefix], model.device))[0, -1]
        logits_V = model.get_output_embeddings()(hidden_D)
        logits_V[list(NO_TOKENS)] = -torch.inf
        token = int(logits_V.argmax())
        found = network(
            hidden_D[None],
            model.get_input_embeddings().weight[token][None],
            logits_V.sort(descending=True).values[None, :TOP],
        )
    return float(torch.sigmoid(found))


@pytest.mark.parametrize(("bound", "writer"), [(1.0, OWN), (2.0, OWN), (0.0, "teacher"), (-1.0, "teacher")])
def test_identity_31_a_router_that_never_routes_is_the_small_model_and_one_that_always_does_the_large(
    models: dict[str, Any], network: RouterNetwork, bound: float, writer: str
) -> None:
    found = routed(models, network, bound)
    assert [answered.completion for answered in found] == alone(models[writer])
    assert set(tally(found).origins) == {writer}


def test_tokens_come_from_the_model_that_the_network_says(
    models: dict[str, Any], network: RouterNetwork
) -> None:
    pair = {OWN: models[OWN], "teacher": models["teacher"]}
    bound = sorted(chance(models, network, prompt) for prompt in PROMPTS)[len(PROMPTS) // 2]
    # Between the chances of two prompts, where rounding cannot decide.
    bound += 1e-4
    found = routed(models, network, bound)
    assert set(tally(found).origins) == {OWN, "teacher"}
    for prompt, answered in zip(PROMPTS, found, strict=True):
        assert answered.passes == {OWN: len(answered.completion), "teacher": len(answered.completion)}
        for step, (token, origin) in enumerate(zip(answered.completion, answered.origins, strict=True)):
            prefix = prompt + answered.completion[:step]
            assert (origin == "teacher") == (chance(models, network, prefix) > bound)
            assert mixed(pair, {origin: 1}, prefix, 1, STOPS, unused=NO_TOKENS) == (token,)


def test_sampled_answers_are_routed_too(models: dict[str, Any], network: RouterNetwork) -> None:
    seeds = [0] * len(PROMPTS)
    own = TransformersEngine(models[OWN], RULES, 4).complete(PROMPTS, TOKENS, Decoding(1.0), seeds)
    assert [answered.completion for answered in routed(models, network, 1.0, Decoding(1.0))] == own


def test_nothing_watches_a_model_once_its_answers_are_written(
    models: dict[str, Any], network: RouterNetwork
) -> None:
    with watching(network, 0.5, models[OWN]) as watched:
        pass
    alone(models[OWN], PROMPTS[:1], 1)
    assert watched.hidden is None


def test_rows_that_cannot_come_and_go_are_refused(
    models: dict[str, Any], network: RouterNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrbench.sampling.engines.lockstep.can_refill", lambda _: False)
    with pytest.raises(RunError, match="a learnt route reads the states of rows that come and go"):
        routed(models, network, 0.5)
