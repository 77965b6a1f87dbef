"""The engine `server`: an OpenAI-compatible completions endpoint, such as `vllm serve`.

Token ids go in and token ids come out. A server that gives text alone is refused: encoding its text
again is not the same, since one text has many spellings in tokens.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from lrbench.errors import RunError, UserError
from lrbench.methods.answers import OWN
from lrbench.recipe.messages import excerpt
from lrbench.recipe.schema import BatchSize
from lrbench.sampling.engines.answered import Answered
from lrbench.sampling.engines.answers import Card, Cards, Choice, Completion, read_answer
from lrbench.sampling.engines.base import NEVER, Decoding, Request, StreamingEngine, TokenRules
from lrbench.sampling.engines.endpoint import Endpoint

# Said with every request, or a server would fill the gaps from the model's own generation settings.
PLAIN = {
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}

# Where a recipe leaves it to the machine: the server queues what it has no room for.
CONNECTIONS = 64

Given = TypeVar("Given")
Found = TypeVar("Found")


class ServedModel:
    """The expert as a server runs it. Adapters are loaded into the server for as long as they are used."""

    def __init__(self, url: str, served_as: str | None, batch_size: BatchSize) -> None:
        """Find the server and the model; it is asked for at most `batch_size` completions at a time.

        Raises `UserError` when either is not there."""
        self.endpoint = Endpoint(url, CONNECTIONS if batch_size == "auto" else batch_size)
        try:
            self.model, self._names = self._find(served_as)
        except RunError as error:
            raise UserError(str(error)) from error

    def engine(self, rules: TokenRules) -> ServerEngine:
        """The model without any adapter."""
        return ServerEngine(self.endpoint, self.model, rules, self._names)

    @contextmanager
    def adapted(self, rules: TokenRules, adapter: Path) -> Iterator[ServerEngine]:
        """The model with the adapter of a folder, which the server has to see under the same path.

        A server that cannot load adapters at run time may serve it from its start, as `lrbench-` and the
        first 16 digits of the folder's name. Raises `RunError` when it can do neither.
        """
        name = f"lrbench-{adapter.name[:16]}"
        if name in self._cards():
            yield ServerEngine(self.endpoint, name, rules)
            return
        # Its own name for every process, since each takes away what it has loaded.
        loaded = f"{name}-{secrets.token_hex(4)}"
        try:
            self.endpoint.tell("/v1/load_lora_adapter", {"lora_name": loaded, "lora_path": str(adapter)})
        except RunError as error:
            raise RunError(
                f"{error}\nThe server cannot load the adapter. Start it with --enable-lora and the variable "
                f"VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 on a machine that sees {adapter}; or with --enable-lora "
                f"--lora-modules {name}={adapter}"
            ) from error
        try:
            yield ServerEngine(self.endpoint, loaded, rules)
        finally:
            # A server that is gone has nothing to take away, and why it went is said already.
            with suppress(RunError):
                self.endpoint.tell("/v1/unload_lora_adapter", {"lora_name": loaded})

    def _cards(self) -> dict[str, Card]:
        path = "/v1/models"
        found = read_answer(Cards, self.endpoint.get(path), f"{self.endpoint.url}{path}")
        return {card.id: card for card in found.data}

    def _find(self, served_as: str | None) -> tuple[str, frozenset[str]]:
        """The served name of the expert, what the recipe says or the only model that is no adapter; and every
        name under which the server has the same model, each of which it may sign its answers with.
        """
        cards = {name: card for name, card in self._cards().items() if card.parent is None}
        listed = ", ".join(map(excerpt, cards)) or "nothing"
        if served_as is not None and served_as not in cards:
            raise UserError(f"{self.endpoint.url} serves no model {excerpt(served_as)}; it serves {listed}")
        if served_as is None and len(cards) != 1:
            raise UserError(f"{self.endpoint.url} serves {listed}: name one with the engine's `served_as`")
        model = served_as or next(iter(cards))
        root = cards[model].root
        same = {name for name, card in cards.items() if root is not None and card.root == root}
        return model, frozenset({model, *same})


class ServerEngine(StreamingEngine):
    """A model of a server, with or without an adapter, as many requests at a time as it has connections."""

    name = "server"

    def __init__(
        self, endpoint: Endpoint, model: str, rules: TokenRules, names: frozenset[str] = frozenset()
    ) -> None:
        """`names` are further ones by which the server may call the model."""
        self.endpoint = endpoint
        self.model = model
        self.rules = rules
        self.names = names | {model}

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"the engine {self.name} at {self.endpoint.url}"

    def rows_at_once(self, requests: Sequence[Request]) -> int:
        """As many as it has connections; the server batches them as it sees fit."""
        return min(self.endpoint.connections, len(requests))

    def stream_requests(
        self, requests: Iterable[tuple[int, Request]], decoding: Decoding
    ) -> Iterator[tuple[int, Answered]]:
        """One HTTP request per prompt on all connections; a failure calls off those that have not begun."""
        for index, completion in as_they_come(
            lambda request: self.written(request, decoding), requests, self.endpoint.connections
        ):
            yield index, Answered.alone(OWN, completion)

    def log_probabilities(self, ids: Sequence[int]) -> list[float]:
        """The log-probability of every id but the first, given those before it; nothing is left out."""
        choice = self._choice(
            ids, {"prompt": list(ids), "max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0}
        )
        found = choice.prompt_logprobs
        if found is None or len(found) != len(ids):
            raise UserError(
                f"{self.endpoint.url} gives no log-probabilities of a prompt (`prompt_logprobs`), so it "
                "cannot prove which model it runs. `vllm serve` gives them."
            )
        values = []
        for place, (token, given) in enumerate(zip(ids, found, strict=True)):
            if place == 0:
                continue
            if given is None or str(token) not in given:
                raise RunError(
                    f"{self.title} gave no log-probability of token {place + 1} of a prompt, the id {token}"
                )
            values.append(given[str(token)].logprob)
        return self._check_log_probabilities(values, ids)

    def log_probabilities_of(
        self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        """As every engine's, one HTTP request per completion."""
        asked = self._askable(prompts, completions)
        found = dict(
            as_they_come(lambda pair: self._after(*pair), enumerate(asked), self.endpoint.connections)
        )
        return [found[index] for index in range(len(asked))]

    def written(self, request: Request, decoding: Decoding) -> tuple[int, ...]:
        """What the server writes for one request. Raises `RunError` for what is no whole completion."""
        choice = self._choice(
            request.prompt,
            {
                "prompt": list(request.prompt),
                "max_tokens": request.max_new_tokens,
                "temperature": decoding.temperature,
                "top_p": decoding.top_p,
                "seed": request.seed,
                "stop_token_ids": list(self.rules.stop_ids),
                "ignore_eos": True,
                "return_token_ids": True,
                "logit_bias": {str(token): NEVER for token in self.rules.no_tokens} or None,
                **PLAIN,
            },
        )
        if choice.token_ids is None:
            raise UserError(
                f"{self.endpoint.url} answers with text alone, and lrbench needs the token ids "
                "(`return_token_ids`), since encoding text again can give others. `vllm serve` gives them."
            )
        completion = tuple(choice.token_ids)
        self._check_reason(choice.finish_reason, request, completion)
        return completion

    def _choice(self, prompt: Sequence[int], body: dict[str, Any]) -> Choice:
        path = "/v1/completions"
        answer = self.endpoint.post(path, {"model": self.model, "n": 1, **body})
        found = read_answer(Completion, answer, f"{self.endpoint.url}{path}")
        if found.model is not None and found.model not in self.names:
            raise RunError(
                f"{self.title} was asked for the model {excerpt(self.model)} and answered with "
                f"{excerpt(found.model)}"
            )
        (choice,) = found.choices
        if choice.prompt_token_ids is not None and choice.prompt_token_ids != list(prompt):
            raise RunError(
                f"{self.title} completed another prompt than it was given: {len(choice.prompt_token_ids)} "
                f"tokens where {len(prompt)} were sent, or other ids. Start it without settings that cut or "
                "change prompts"
            )
        return choice


def as_they_come(
    work: Callable[[Given], Found], given: Iterable[tuple[int, Given]], at_once: int
) -> Iterator[tuple[int, Found]]:
    """`work` of each, by its number, as soon as it is done; at most `at_once` run at a time."""
    coming = iter(given)
    running: dict[Future[Found], int] = {}
    executor = ThreadPoolExecutor(at_once)
    try:
        while True:
            for index, one in islice(coming, at_once - len(running)):
                running[executor.submit(work, one)] = index
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()
    finally:
        # Nobody waits for what is still under way.
        executor.shutdown(wait=not running, cancel_futures=True)
