"""Several servers of one model: every request goes to whichever has a free connection."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from queue import SimpleQueue
from typing import TypeVar

from lrbench.errors import ServerGoneError
from lrbench.methods.answers import OWN
from lrbench.sampling.engines.answered import Answered
from lrbench.sampling.engines.base import Decoding, Request, StreamingEngine, TokenRules
from lrbench.sampling.engines.server import ServerEngine, as_they_come

Found = TypeVar("Found")
logger = logging.getLogger(__name__)


class SeveralServers(StreamingEngine):
    """Servers that have each proven to run the same model, with as many connections as all have together."""

    name = "server"

    def __init__(self, servers: Sequence[ServerEngine], rules: TokenRules) -> None:
        """At least one server."""
        self.servers = servers
        self.rules = rules
        self._gone: set[str] = set()
        self._free: SimpleQueue[ServerEngine] = SimpleQueue()
        # One connection of each after the other, so that few requests are spread over all.
        for number in range(max(server.endpoint.connections for server in servers)):
            for server in servers:
                if number < server.endpoint.connections:
                    self._free.put(server)

    @property
    def connections(self) -> int:
        """Of all servers."""
        return sum(server.endpoint.connections for server in self.servers)

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"the engine {self.name} at {', '.join(server.endpoint.url for server in self.servers)}"

    def rows_at_once(self, requests: Sequence[Request]) -> int:
        """As many as there are connections."""
        return min(self.connections, len(requests))

    def stream_requests(
        self, requests: Iterable[tuple[int, Request]], decoding: Decoding
    ) -> Iterator[tuple[int, Answered]]:
        """One HTTP request per prompt on all connections; what a lost server has left, others write."""
        for index, completion in as_they_come(
            lambda request: self._by_a_free_one(lambda server: server.written(request, decoding)),
            requests,
            self.connections,
        ):
            yield index, Answered.alone(OWN, completion)

    def log_probabilities(self, ids: Sequence[int]) -> list[float]:
        """As every engine's."""
        return self._by_a_free_one(lambda server: server.log_probabilities(ids))

    def log_probabilities_of(
        self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        """As every engine's, one HTTP request per completion."""
        asked = self._askable(prompts, completions)
        found = dict(as_they_come(lambda pair: self._after(*pair), enumerate(asked), self.connections))
        return [found[index] for index in range(len(asked))]

    def _by_a_free_one(self, work: Callable[[ServerEngine], Found]) -> Found:
        while True:
            server = self._free.get()
            try:
                if server.endpoint.url not in self._gone:
                    return work(server)
            except ServerGoneError as error:
                is_known = server.endpoint.url in self._gone
                self._gone.add(server.endpoint.url)
                if len(self._gone) == len(self.servers):
                    raise
                if not is_known:
                    logger.warning("%s The other servers go on without it", error)
            finally:
                if server.endpoint.url not in self._gone or len(self._gone) == len(self.servers):
                    # Where all are gone nobody shall wait for one: each has its own failure to tell.
                    self._free.put(server)
            if len(self._gone) == len(self.servers):
                raise ServerGoneError(f"{self.title}: none can be reached any more")
