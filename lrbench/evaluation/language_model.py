"""Our models as lm-eval sees them: problems in, completions out, token ids in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from lrbench.evaluation.graded_items import DRAW, TRACE
from lrbench.methods.answers import OWN
from lrbench.models.loading import Tokenizer
from lrbench.models.prompt import render_prompt

if TYPE_CHECKING:
    from lrbench.evaluation.harness import Item
    from lrbench.evaluation.traces import Tracing
    from lrbench.sampling.engines.answered import Answered

# What an item says of what it took, where it says so.
TOOK = ("written", "passes", "origins")


class Write(Protocol):
    """Completes prompts of token ids with so many new ones at most, by the `seeds` where they are sampled."""

    def __call__(
        self, prompts: Sequence[Sequence[int]], max_new_tokens: int, seeds: Sequence[int] = ()
    ) -> list[Answered]:
        """One answer for each prompt, in their order."""


class AnsweringModel(LM):  # type: ignore[misc]
    """A model that answers `generate_until` requests whose context is a bare problem, and no others.

    `lengths` holds the number of tokens of every completion of the last call, `truncated` whether it ran into
    the limit, and `took` what it took where that was more than one model writing once: the tokens that were
    written for it, forward passes by model, and tokens by who chose them.
    """

    lengths: list[int]
    truncated: list[bool]
    took: list[dict[str, Any]]

    def traces(self, items: Sequence[Item]) -> Iterator[dict[str, Any]]:
        """What is added to the rows of the last call's answers: nothing, unless traces are asked for."""
        return ({} for _ in items)

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Not used by any lrbench task: every benchmark is generative."""
        raise NotImplementedError("lrbench's benchmarks are generative")

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        """Not used by any lrbench task: every benchmark is generative."""
        raise NotImplementedError("lrbench's benchmarks are generative")


class RenderedModel(AnsweringModel):
    """Writes its answers: `write` completes token ids, by `seed_of(item, draw)` where it samples.

    An item that is asked several times at once is drawn as often.

    A completion goes up to one of `stop_ids`, which is no part of its text. The texts in `endings` end it
    too: one that holds any was not cut at the limit.
    """

    def __init__(
        self,
        write: Write,
        tokenizer: Tokenizer,
        system_prompt: str | None,
        stop_ids: Iterable[int],
        endings: Sequence[str] = (),
        seed_of: Callable[[str, int], int] | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        super().__init__()
        self.write = write
        self.tokenizer = tokenizer
        self.system_prompt = system_prompt
        self.stop_ids = frozenset(stop_ids)
        self.endings = tuple(endings)
        self.seed_of = seed_of
        self.tracing = tracing
        self.lengths: list[int] = []
        self.truncated: list[bool] = []
        self.took: list[dict[str, Any]] = []
        self._prompts: list[list[int]] = []
        self._answers: list[Answered] = []

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = True) -> list[str]:
        """Completions of every request, cut before the first of its stop strings."""
        del disable_tqdm
        (limit,) = {request.args[1]["max_gen_toks"] for request in requests}
        prompts = [render_prompt(self.tokenizer, request.args[0], self.system_prompt) for request in requests]
        if self.seed_of is None:
            answers = self.write(prompts, limit)
        else:
            answers = self.write(prompts, limit, [self.seed_of(*drawn) for drawn in _draws(requests)])
        self._prompts, self._answers = prompts, answers
        self.took = [took_by(answered) for answered in answers]
        completions = [answered.completion for answered in answers]
        self.lengths = [len(completion) for completion in completions]
        cut_short = [not self.stop_ids.intersection(completion[-1:]) for completion in completions]
        texts = [
            self.tokenizer.decode(completion if cut else completion[:-1])
            for completion, cut in zip(completions, cut_short, strict=True)
        ]
        self.truncated = [
            cut and not any(ending in text for ending in self.endings)
            for text, cut in zip(texts, cut_short, strict=True)
        ]
        return [_cut(text, request.args[1]["until"]) for text, request in zip(texts, requests, strict=True)]

    def traces(self, items: Sequence[Item]) -> Iterator[dict[str, Any]]:
        """What `tracing` says of the last call's answers, which `items` are graded."""
        if self.tracing is None:
            return super().traces(items)
        return ({TRACE: found} for found in self.tracing.of(self._prompts, self._answers, items))


class RecordedModel(AnsweringModel):
    """Gives the completions of graded items once more, so that they can be graded anew.

    `items` have the fields of `harness.Item`.
    """

    def __init__(self, items: Iterable[Mapping[str, Any]]) -> None:
        super().__init__()
        self._items = {(item["id"], item.get(DRAW, 0)): item for item in items}

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = True) -> list[str]:
        """The recorded completions of the requested items; they are cut before their stop strings already."""
        del disable_tqdm
        items = [self._items[drawn] for drawn in _draws(requests)]
        self.lengths = [item["tokens"] for item in items]
        self.truncated = [item["truncated"] for item in items]
        self.took = [{name: item[name] for name in TOOK if name in item} for item in items]
        return [item["completion"] for item in items]


def _draws(requests: Sequence[Instance]) -> Iterator[tuple[str, int]]:
    """The item of every request, and how often it was asked before."""
    asked: Counter[str] = Counter()
    for request in requests:
        item = request.doc["id"]
        yield item, asked[item]
        asked[item] += 1


def took_by(answered: Answered) -> dict[str, Any]:
    """What an answer took; nothing where the arm's own model wrote each of its tokens once."""
    passes = {name: count for name, count in answered.passes.items() if count}
    origins = dict(sorted(Counter(answered.origins).items()))
    count = len(answered.completion)
    if passes == origins == ({OWN: count} if count else {}) and answered.written == count:
        return {}
    return {"written": answered.written, "passes": passes, "origins": origins}


def _cut(text: str, stops: Sequence[str]) -> str:
    for stop in stops:
        text = text.split(stop, maxsplit=1)[0]
    return text
