"""Who takes over at cues, or rewrites by score, does so nowhere or everywhere at the limits."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from lrbench.methods.answers import OWN, Answer
from lrbench.methods.taking_over import Cues
from lrbench.sampling.engines.answered import GIVEN, Answered, tally
from lrbench.sampling.engines.base import TokenRules
from lrbench.sampling.engines.lockstep import LockstepEngine
from lrbench.sampling.engines.own_tokens import token_log_probabilities
from lrbench.sampling.engines.transformers import TransformersEngine
from tests.engines.lockstep import NO_TOKENS, PROMPTS, RULES, SPEECH, Ids, alone, rewrite, spelt, take_over

pytestmark = pytest.mark.usefixtures("refilled")

LONG = 60
# Nothing but the room ends an answer, so that there is time for all that may happen.
ENDLESS = TokenRules((), NO_TOKENS, 256, 64)
NO_CUES = {"affirm": [], "reflect": [], "verify": []}


def taken_over(
    models: dict[str, Any], answer: Answer, tokens: int = LONG, rules: TokenRules = ENDLESS
) -> list[Answered]:
    return LockstepEngine(models, answer, rules, 4, speech=SPEECH).answer(PROMPTS, tokens)


def greedy(models: dict[str, Any], name: str, tokens: int = LONG) -> list[Ids]:
    return TransformersEngine(models[name], ENDLESS, 4).complete(PROMPTS, tokens)


@pytest.fixture(scope="module")
def common(models: dict[str, Any]) -> list[str]:
    """The tokens that both models write, those that both write often first, as texts."""
    counts = [Counter(t for ids in greedy(models, name) for t in ids) for name in (OWN, "teacher")]
    both = {token: min(count[token] for count in counts) for token in counts[0] & counts[1]}
    return [str(token) for token in sorted(both, key=lambda token: -both[token]) if token > 9]


def test_without_cues_and_without_looking_back_it_is_the_own_model_alone(
    models: dict[str, Any], common: list[str]
) -> None:
    found = taken_over(models, take_over(after=common[0], cues=NO_CUES, draft=3, recap=None))
    assert [answered.completion for answered in found] == greedy(models, OWN)
    assert set(tally(found).origins) == {OWN}
    ending = taken_over(models, take_over(after=common[0], cues=NO_CUES, draft=3), 12, RULES)
    assert [answered.completion for answered in ending] == alone(models[OWN])
    # Cues that nothing is looked at for change nothing either.
    never = taken_over(models, take_over(after="99", cues={"verify": common}, draft=3))
    assert [answered.completion for answered in never] == greedy(models, OWN)


class Simulated:
    """One answer, token by token and in the order of the published description."""

    def __init__(self, models: dict[str, Any], prompt: Ids, length: int) -> None:
        self.models, self.prompt, self.length = models, prompt, length
        self.ids: list[int] = []
        self.origins: list[str] = []

    def tokens(self, name: str, count: int) -> Ids:
        count = min(count, self.length - len(self.ids))
        engine = TransformersEngine(self.models[name], ENDLESS, 1)
        return engine.complete([(*self.prompt, *self.ids)], count)[0] if count else ()

    def add(self, name: str, ids: Ids) -> None:
        ids = ids[: self.length - len(self.ids)]
        self.ids += ids
        self.origins += [name] * len(ids)

    def write(self, how: Any) -> None:
        doubts, patience, length = 0, how.recap.after, how.recap.tokens
        while len(self.ids) < self.length:
            while True:
                self.add(OWN, self.tokens(OWN, 1))
                if str(self.ids[-1]) == how.after or len(self.ids) == self.length:
                    break
            if len(self.ids) == self.length:
                return
            if doubts >= patience:
                self.add(GIVEN, tuple(map(int, how.recap.text.split())))
                self.add("teacher", self.tokens("teacher", length))
                doubts = 0
                patience = min(patience + how.recap.later, how.recap.latest)
                length = min(length + how.recap.more, how.recap.most)
                continue
            # What the own model drafts without a cue it writes again, word for word.
            if how.cues.mood(spelt(self.tokens(OWN, how.draft))) != 0:
                instead = self.tokens("teacher", how.draft)
                self.add("teacher", instead)
                doubts += how.cues.mood(spelt(instead)) < 0
                if how.cues.verifies(spelt(instead)):
                    self.add("teacher", self.tokens("teacher", how.verify))


def test_it_takes_over_where_and_as_long_as_published(models: dict[str, Any], common: list[str]) -> None:
    recap = {"text": "30 31", "after": 2, "later": 1, "latest": 3, "tokens": 4, "more": 1, "most": 5}
    cues = {"affirm": common[1:2], "reflect": common[2:5], "verify": common[5:6]}
    answer = take_over(after=common[0], cues=cues, draft=3, verify=4, recap=recap)
    found = taken_over(models, answer)
    for prompt, answered in zip(PROMPTS, found, strict=True):
        simulated = Simulated(models, prompt, LONG)
        simulated.write(answer.take_over)
        assert answered.completion == tuple(simulated.ids)
        assert answered.origins == tuple(simulated.origins)
        assert answered.passes[OWN] >= simulated.origins.count(OWN)
        assert answered.passes.get("teacher", 0) == simulated.origins.count("teacher")
        assert sum(answered.passes.values()) == answered.written
    assert set(tally(found).origins) == {OWN, "teacher", GIVEN}


def test_cues_weigh_what_affirms_against_what_doubts_or_checks() -> None:
    cues = Cues()
    assert [
        cues.mood(text) for text in ("Yes.", "Wait, yes", "Let me CHECK", "19-7=12", "yes, yes, but wait")
    ] == [
        1,
        -1,
        -1,
        0,
        1,
    ]
    assert cues.verifies("I'd better verify it")
    assert not cues.verifies("Wait")


# ---- by score


def test_a_score_that_none_is_below_leaves_the_own_model_and_one_that_all_are_below_the_other(
    models: dict[str, Any], common: list[str]
) -> None:
    for tokens, rules in ((LONG, ENDLESS), (12, RULES)):
        own, other = (
            TransformersEngine(models[name], rules, 4).complete(PROMPTS, tokens) for name in (OWN, "teacher")
        )
        never = taken_over(models, rewrite(below=-1e9, after=common[0]), tokens, rules)
        assert [answered.completion for answered in never] == own
        assert set(tally(never).origins) == {OWN}
        always = taken_over(models, rewrite(below=1.0, after=common[0]), tokens, rules)
        assert [answered.completion for answered in always] == other
        assert set(tally(always).origins) == {"teacher"}


def test_a_step_is_rewritten_where_the_other_model_finds_it_unlikely(
    models: dict[str, Any], common: list[str]
) -> None:
    found = taken_over(models, rewrite(below=-4.6, after=common[0]))
    for prompt, answered in zip(PROMPTS, found, strict=True):
        ids: Ids = ()
        origins: list[str] = []
        took = Counter[str]()
        while len(ids) < LONG:
            steps = {}
            for name in (OWN, "teacher"):
                engine = TransformersEngine(models[name], ENDLESS, 1)
                rest = engine.complete([prompt + ids], LONG - len(ids))[0]
                end = next((n + 1 for n, token in enumerate(rest) if str(token) == common[0]), len(rest))
                steps[name] = rest[:end]
            (likely,) = token_log_probabilities(models["teacher"], [prompt + ids], [steps[OWN]], 1)
            chosen = "teacher" if sum(likely) / len(likely) < -4.6 else OWN
            took.update({OWN: len(steps[OWN]), "teacher": 1})
            took["teacher"] += len(steps[chosen]) if chosen == "teacher" else 0
            ids += steps[chosen]
            origins += [chosen] * len(steps[chosen])
        assert answered.completion == ids
        assert answered.origins == tuple(origins)
        assert answered.passes == took
    assert set(tally(found).origins) == {OWN, "teacher"}
