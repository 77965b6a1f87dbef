"""Several servers share the requests of one model, and one that is lost leaves its own to the others."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import Any

import pytest

from lrbench.errors import RecipeError, ServerGoneError
from lrbench.recipe.loading import load_recipe
from lrbench.sampling.engines import endpoint
from lrbench.sampling.engines.server import ServedModel
from lrbench.sampling.engines.several_servers import SeveralServers
from tests.engines.loopback import Answer, Loopback, serving
from tests.engines.test_server import RULES, echo

PROMPTS = [[token] for token in range(5, 45)]
EXPECTED = [(token, 0, 2) for token in range(5, 45)]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries without the pauses between them."""
    monkeypatch.setattr(endpoint, "PAUSES", (0.0,) * len(endpoint.PAUSES))


def together(servers: list[Loopback], connections: int = 2) -> SeveralServers:
    engines = [ServedModel(server.url, None, connections).engine(RULES) for server in servers]
    return SeveralServers(engines, RULES)


def completions(server: Loopback) -> int:
    return sum(path == "/v1/completions" for path, _ in server.requests)


def test_all_servers_are_at_work_at_once() -> None:
    both = threading.Barrier(2, timeout=20)

    def meeting(path: str, body: dict[str, Any]) -> Answer:
        if path == "/v1/completions" and body["prompt"][0] < 7:
            both.wait()
        return echo(path, body)

    with ExitStack() as stack:
        servers = [stack.enter_context(serving(meeting)) for _ in range(2)]
        engine = together(servers, connections=1)
        assert engine.rows_at_once([]) == 0
        assert engine.complete(PROMPTS, 9) == EXPECTED
        counts = [completions(server) for server in servers]
    assert min(counts) >= 1
    assert sum(counts) == len(PROMPTS)


def test_what_a_lost_server_has_left_is_written_by_the_others(caplog: pytest.LogCaptureFixture) -> None:
    with serving(echo) as stays:
        with serving(echo) as lost:
            engine = together([stays, lost])
        assert engine.complete(PROMPTS, 9) == EXPECTED
        assert engine.complete(PROMPTS, 9) == EXPECTED
    # A connection that was open may still have been served.
    assert completions(stays) >= 2 * len(PROMPTS) - 4
    assert f"{lost.url} cannot be reached" in caplog.text
    assert "The other servers go on without it" in caplog.text


def test_where_all_are_lost_that_is_told_and_nobody_waits() -> None:
    with serving(echo) as first, serving(echo) as second:
        engine = together([first, second])
    with pytest.raises(ServerGoneError, match="reached"):
        engine.complete(PROMPTS, 9)
    with pytest.raises(ServerGoneError, match="none can be reached any more"):
        engine.complete(PROMPTS, 9)


@pytest.mark.parametrize(
    ("addresses", "message"),
    [
        ("[http://127.0.0.1:1, http://127.0.0.1:1]", "http://127.0.0.1:1 stands twice in the list"),
        ("[http://127.0.0.1:1, 'ftp://x']", "ftp://x: not the address of a server"),
        ("[]", "sampling.engine.url"),
    ],
)
def test_addresses_that_cannot_be_used_have_their_place(addresses: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("recipes/quickstart.yaml", [f"sampling.engine={{name: server, url: {addresses}}}"])
    assert message in str(caught.value)
