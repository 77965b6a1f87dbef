"""One queue of prompts behind work that is asked for, and committed, in portions.

Where each portion is written by itself, it waits for its longest answer with most rows empty, and never are
more rows written than it has. In a queue rows that become free take what the next portion will ask.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Generator, Iterable, Iterator, Sequence

from lrbench.sampling.engines.answered import Answered
from lrbench.sampling.engines.base import Decoding, Engine, Request
from lrbench.sampling.engines.wrapping import WrappingEngine


class QueuedEngine(WrappingEngine):
    """Writes ahead: `upcoming` is what will be asked, about in this order, all with the same `decoding`.

    What is asked and was not announced is written when it is asked. Answers that nobody has asked for yet are
    held: as many as are written while the longest one of a portion is.
    """

    def __init__(self, engine: Engine, decoding: Decoding, upcoming: Iterable[Request]) -> None:
        super().__init__(engine)
        self._decoding = decoding
        self._asked: dict[int, Request] = {}
        self._written: defaultdict[Request, deque[Answered]] = defaultdict(deque)
        self._stream = self._streamed(upcoming)

    def close(self) -> None:
        """Write nothing more: what is under way is called off."""
        self._stream.close()

    def answer_requests(self, requests: Sequence[Request], decoding: Decoding) -> list[Answered]:
        """One answer per request, in the given order."""
        if decoding != self._decoding:
            return self.engine.answer_requests(requests, decoding)
        found = [self._next(request) for request in requests]
        missing = [request for request, answered in zip(requests, found, strict=True) if answered is None]
        rest = iter(self.engine.answer_requests(missing, decoding) if missing else [])
        return [next(rest) if answered is None else answered for answered in found]

    def _streamed(self, upcoming: Iterable[Request]) -> Generator[tuple[int, Answered], None, None]:
        yield from self.engine.stream_requests(self._announced(upcoming), self._decoding)

    def _announced(self, upcoming: Iterable[Request]) -> Iterator[tuple[int, Request]]:
        for index, request in enumerate(upcoming):
            self._asked[index] = request
            yield index, request

    def _next(self, request: Request) -> Answered | None:
        """The answer to a request, as soon as the queue has come so far; None where it never does."""
        while not self._written[request]:
            done = next(self._stream, None)
            if done is None:
                return None
            index, answered = done
            self._written[self._asked.pop(index)].append(answered)
        answered = self._written[request].popleft()
        if not self._written[request]:
            del self._written[request]
        return answered
