"""A chain: one model writes a plan, another answers with it, once or until a third gives the same answer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from lrbench.methods.answers import majority
from lrbench.methods.relays import Chain
from lrbench.sampling.engines.answered import GIVEN, Answered, summed
from lrbench.sampling.engines.base import Decoding, Request
from lrbench.sampling.engines.relays import Ids, Relay, Speech, Turn, spent, turn_seed


@dataclass(frozen=True)
class Chaining:
    """How the answers of a `chain` come about; `stops` end a text, `context` is of all models."""

    chain: Chain
    speech: Speech
    stops: Collection[int]
    context: int

    def begin(self, request: Request) -> Relay:
        """The answer to one request: that of the chain, or of the chain once another model agrees.

        Where it never does, it is the first of all answers that give what most of them give.
        """
        agree = self.chain.agree
        if agree is None:
            return (yield from self._once(request, request.seed, None))
        written: list[Answered] = []
        said: list[str | None] = []
        for number in range(agree.rounds):
            decoding = Decoding(agree.temperature) if number else None
            seeds = agree.seeds(number, request.prompt)
            written.append((yield from self._once(request, seeds[0], decoding)))
            other = Turn(agree.by, request.prompt, request.max_new_tokens, seeds[1], decoding=decoding)
            written.append((yield other))
            said += [self.speech.read(each.completion) for each in written[-2:]]
            if said[-1] is not None and said[-1] == said[-2]:
                winner = written[-2]
                break
        else:
            winner = written[majority(said)]
        passes = summed(each.passes for each in written)
        return replace(winner, passes=passes, written=sum(each.written for each in written))

    def _once(self, request: Request, seed: int, decoding: Decoding | None) -> Relay:
        plan: Answered = Answered()
        asked = self.speech.asked_with(request.prompt, self.chain.ask)
        most = self._room_for_plan(request, asked)
        if most > 0:
            plan = yield Turn(self.chain.planner, asked, most, turn_seed(seed, 1), decoding=decoding)
        told = tuple(token for token in plan.completion if token not in self.stops)
        text = self.speech.decode(told)
        if not text.strip():
            begun, prompt = spent(plan), request.prompt
        elif self.chain.place == "prompt":
            before, after = self.chain.around
            begun, prompt = spent(plan), self.speech.asked_with(request.prompt, before + text.strip() + after)
        else:
            begun, prompt = self._begun(plan, told, request), request.prompt
        left = min(request.max_new_tokens, self.context - len(prompt)) - len(begun.completion)
        if left <= 0:
            return begun
        answer = yield Turn(self.chain.solver, prompt + begun.completion, left, seed, decoding=decoding)
        return begun.then(answer)

    def _room_for_plan(self, request: Request, asked: Ids) -> int:
        """How long a plan may be: as long as an answer, and half of what the question leaves at most."""
        most = min(request.max_new_tokens, (self.context - len(asked)) // 2)
        return most if self.chain.tokens is None else min(most, self.chain.tokens)

    def _begun(self, plan: Answered, told: Ids, request: Request) -> Answered:
        """The beginning of an answer that is the plan, and what stands around it."""
        before, after = (Answered(ids, (GIVEN,) * len(ids)) for ids in map(self._ids, self.chain.around))
        kept = replace(plan, completion=told, origins=(self.chain.planner,) * len(told))
        return (
            before.then(kept)
            .then(after)
            .cut(min(request.max_new_tokens, len(before.completion) + len(told) + len(after.completion)))
        )

    def _ids(self, text: str) -> Ids:
        return tuple(self.speech.encode(text)) if text else ()
