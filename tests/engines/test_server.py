"""The client of a server: what it asks for, how it lasts, and what it says when something is wrong."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lrbench.errors import RunError, UserError
from lrbench.sampling.engines import endpoint
from lrbench.sampling.engines.base import Decoding, TokenRules
from lrbench.sampling.engines.endpoint import Endpoint
from lrbench.sampling.engines.server import ServedModel
from tests.engines.hostile_answers import LIES, LOG_PROBABILITIES, MALFORMED, MODELS, REFUSALS, Refusal
from tests.engines.loopback import Answer, Loopback, serving

RULES = TokenRules(stop_ids=(2, 3), no_tokens=(60, 61), context=100, rows=64)
CARDS = {"data": [{"id": "expert"}, {"id": "old-adapter", "parent": "expert"}]}


def echo(path: str, body: dict[str, Any]) -> Answer:
    """A well-behaved server whose completion is the first token of the prompt, the seed, and a stop."""
    if path == "/v1/models":
        return 200, CARDS
    if path == "/v1/completions":
        ids = [body["prompt"][0], body.get("seed", 0), 2]
        return 200, {"choices": [{"text": "", "token_ids": ids, "finish_reason": "stop"}]}
    return 200, "Success"


def served(loopback: Loopback, connections: int = 4, served_as: str | None = None) -> ServedModel:
    return ServedModel(loopback.url, served_as, connections)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries without the pauses between them."""
    monkeypatch.setattr(endpoint, "PAUSES", (0.0,) * len(endpoint.PAUSES))


def test_token_ids_go_in_and_come_out_in_order() -> None:
    with serving(echo) as loopback:
        engine = served(loopback).engine(RULES)
        found = engine.complete([[5, 6], [7], [8]], 9, Decoding(1.0, 0.95), seeds=[21, 22, 23])
    assert found == [(5, 21, 2), (7, 22, 2), (8, 23, 2)]
    _, asked = loopback.requests[-1]
    assert (asked["temperature"], asked["top_p"]) == (1.0, 0.95)


def test_a_request_leaves_nothing_to_the_servers_own_settings() -> None:
    with serving(echo) as loopback:
        served(loopback).engine(RULES).complete([[5, 6]], 9)
    assert loopback.requests[-1] == (
        "/v1/completions",
        {
            "model": "expert",
            "n": 1,
            "prompt": [5, 6],
            "max_tokens": 9,
            "temperature": 0.0,
            "seed": 0,
            "stop_token_ids": [2, 3],
            "ignore_eos": True,
            "return_token_ids": True,
            "logit_bias": {"60": -100.0, "61": -100.0},
            "top_p": 1.0,
            "top_k": 0,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
        },
    )


def test_no_more_requests_run_at_a_time_than_connections_are_allowed() -> None:
    def slow(path: str, body: dict[str, Any]) -> Answer:
        time.sleep(0.03)
        return echo(path, body)

    with serving(slow) as loopback:
        served(loopback, connections=3).engine(RULES).complete([[5]] * 12, 9)
    assert loopback.most_at_once == 3


def test_a_server_that_is_busy_for_a_moment_is_asked_again() -> None:
    refusals = iter([503, 429])

    def busy(path: str, body: dict[str, Any]) -> Answer:
        status = next(refusals, None) if path == "/v1/completions" else None
        return (status, {}) if status else echo(path, body)

    with serving(busy) as loopback:
        assert served(loopback).engine(RULES).complete([[5]], 9) == [(5, 0, 2)]
    assert len(loopback.requests) == 4


def test_a_failure_is_told_once_and_calls_off_the_requests_that_have_not_begun() -> None:
    def failing(path: str, body: dict[str, Any]) -> Answer:
        if path == "/v1/completions":
            time.sleep(0.02)
            return 400, {"error": {"message": "the prompt is\ntoo long"}}
        return echo(path, body)

    with serving(failing) as loopback:
        with pytest.raises(RunError) as error:
            served(loopback, connections=2).engine(RULES).complete([[5]] * 50, 9)
        assert str(error.value) == f"{loopback.url}/v1/completions answered 400: the prompt is too long"
    assert len(loopback.requests) < 10


def completing(choice: dict[str, Any]) -> Callable[[str, dict[str, Any]], Answer]:
    """A server whose completions are all `choice`."""
    return lambda path, body: (200, {"choices": [choice]}) if path == "/v1/completions" else echo(path, body)


def test_a_server_that_answers_with_text_alone_is_refused() -> None:
    with serving(completing({"text": "4"})) as loopback, pytest.raises(UserError, match="text alone"):
        served(loopback).engine(RULES).complete([[5]], 9)


def test_a_server_without_log_probabilities_cannot_prove_its_model() -> None:
    with serving(completing({"text": "4"})) as loopback, pytest.raises(UserError, match="cannot prove"):
        served(loopback).engine(RULES).log_probabilities([5, 6, 7])


def test_log_probabilities_are_those_of_the_given_tokens() -> None:
    given = [None, {"6": {"logprob": -1.5}, "9": {"logprob": -0.1}}, {"7": {"logprob": -2.5}}]
    with serving(completing({"prompt_logprobs": given, "finish_reason": "length"})) as loopback:
        assert served(loopback).engine(RULES).log_probabilities([5, 6, 7]) == [-1.5, -2.5]


def test_log_probabilities_of_completions_leave_out_the_last_token_of_a_full_context() -> None:
    def reading(path: str, body: dict[str, Any]) -> Answer:
        ids = body.get("prompt", [])
        assert len(ids) < RULES.context
        given = [{str(token): {"logprob": -float(place)}} for place, token in enumerate(ids)]
        choice = {"prompt_logprobs": [None, *given[1:]], "finish_reason": "length"}
        return (200, {"choices": [choice]}) if ids else echo(path, body)

    room = RULES.context - 2
    with serving(reading) as loopback:
        engine = served(loopback).engine(RULES)
        found = engine.log_probabilities_of([[5, 6], [5], [5, 6]], [(7, 8), (), (7,) * room])
    assert found[:2] == [[-2.0, -3.0], []]
    assert len(found[2]) == room - 1


def test_a_server_that_is_not_there_is_a_message() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UserError) as error:
            ServedModel(url, None, 1)
    assert str(error.value) == (
        f"{url} cannot be reached (NewConnectionError): is the server started, and is the engine's `url` its "
        "address?"
    )


@pytest.mark.parametrize(
    ("cards", "served_as", "message"),
    [
        ([{"id": "a"}, {"id": "b"}], None, "serves a, b: name one with the engine's `served_as`"),
        ([{"id": "a"}], "c", "serves no model c; it serves a"),
        ([{"id": "a"}, {"id": "b", "parent": "a"}], "b", "serves no model b; it serves a"),
        ([], None, "serves nothing: name one"),
    ],
)
def test_the_served_name_has_to_be_clear(cards: list[Any], served_as: str | None, message: str) -> None:
    with serving(lambda *_: (200, {"data": cards})) as loopback, pytest.raises(UserError) as error:
        served(loopback, served_as=served_as)
    assert message in str(error.value)


def test_a_named_model_is_asked_for() -> None:
    def two(path: str, body: dict[str, Any]) -> Answer:
        cards = {"data": [{"id": "a"}, {"id": "b"}]}
        return (200, cards) if path == "/v1/models" else echo(path, body)

    with serving(two) as loopback:
        served(loopback, served_as="b").engine(RULES).complete([[5]], 9)
    assert loopback.requests[-1][1]["model"] == "b"


def told(caught: pytest.ExceptionInfo[Exception], loopback: Loopback) -> str:
    """The message, which has to be one that people can act on."""
    message = str(caught.value)
    assert loopback.url in message
    assert message.isprintable()
    assert len(message) < 1200
    return message


@pytest.mark.parametrize("answer", MODELS.values(), ids=MODELS)
def test_something_else_at_the_address_is_a_message(answer: bytes) -> None:
    with serving(lambda *_: (200, answer)) as loopback:
        with pytest.raises(UserError) as caught:
            served(loopback)
        assert "answer" in told(caught, loopback)


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_completion_with_a_lie_in_it_is_no_result(lie: Callable[[dict[str, Any]], Any]) -> None:
    good = {"text": "", "token_ids": [5, 9, 2], "finish_reason": "stop"}
    with serving(completing(good)) as loopback:
        assert served(loopback).engine(RULES).complete([[5, 6, 7]], 9) == [(5, 9, 2)]
    with serving(completing(lie(good))) as loopback:
        with pytest.raises((RunError, UserError)) as caught:
            served(loopback).engine(RULES).complete([[5, 6, 7]], 9)
        told(caught, loopback)


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_an_answer_that_is_no_completion_is_one_message(body: bytes) -> None:
    with serving(lambda path, asked: (200, body) if "comp" in path else echo(path, asked)) as loopback:
        with pytest.raises(RunError) as caught:
            served(loopback).engine(RULES).complete([[5]], 9)
        assert "/v1/completions" in told(caught, loopback) or "model" in str(caught.value)


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_one_message_and_is_followed_nowhere(refusal: Refusal) -> None:
    with serving(lambda path, asked: refusal if "comp" in path else echo(path, asked)) as loopback:
        with pytest.raises(RunError) as caught:
            served(loopback).engine(RULES).complete([[5]], 9)
        assert (
            str(refusal.status) in told(caught, loopback)
            or "breaks off" in str(caught.value)
            or ("compressed" in str(caught.value))
        )


@pytest.mark.parametrize("given", LOG_PROBABILITIES.values(), ids=LOG_PROBABILITIES)
def test_a_log_probability_that_is_none_proves_nothing(given: Any) -> None:
    with serving(completing({"prompt_logprobs": given, "finish_reason": "length"})) as loopback:
        with pytest.raises((RunError, UserError)) as caught:
            served(loopback).engine(RULES).log_probabilities([5, 6, 7])
        told(caught, loopback)


def drops(pause: float) -> Iterator[bytes]:
    """An answer that never ends, byte by byte."""
    while True:
        yield b" "
        time.sleep(pause)


def test_an_answer_that_drips_is_waited_for_so_long_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "BODY_SECONDS", 0.3)
    with serving(lambda path, body: (200, drops(0.05)) if "comp" in path else echo(path, body)) as loopback:
        start = time.monotonic()
        with pytest.raises(RunError, match=r"did not answer within 0\.3 s") as caught:
            served(loopback).engine(RULES).complete([[5]], 9)
        assert time.monotonic() - start < 60
        told(caught, loopback)


def test_a_server_that_never_begins_to_answer_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "ANSWER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        start = time.monotonic()
        with pytest.raises(UserError, match="did not answer within"):
            ServedModel(url, None, 1)
        assert time.monotonic() - start < 60


@pytest.mark.parametrize(
    "begun",
    [b"HTTP/1.1 200 OK\r\nX-Drip: ", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b""],
    ids=["headers", "the size of a chunk", "the status line"],
)
def test_what_drips_before_the_answer_is_cut_off_too(begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "ANSWER_SECONDS", 0.4)

    def drip(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            connection.sendall(begun)
            while True:
                connection.sendall(b"0")
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=drip, args=[listening], daemon=True).start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        start = time.monotonic()
        with pytest.raises(UserError, match="did not answer within"):
            ServedModel(url, None, 1)
        assert time.monotonic() - start < 60


@pytest.mark.parametrize("root", ["/models/expert", None])
def test_another_name_of_the_same_model_may_sign_an_answer(root: str | None) -> None:
    cards = [{"id": "a", "root": root}, {"id": "b", "root": root}, {"id": "c", "root": "/models/other"}]

    def signing(path: str, body: dict[str, Any]) -> Answer:
        status, answer = echo(path, body)
        return status, {"data": cards} if path == "/v1/models" else answer | {"model": "a"}

    with serving(signing) as loopback:
        engine = served(loopback, served_as="b").engine(RULES)
        if root is not None:
            assert engine.complete([[5]], 9) == [(5, 0, 2)]
        else:
            with pytest.raises(RunError, match="asked for the model b and answered with a"):
                engine.complete([[5]], 9)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("127.0.0.1:8000", "not the address of a server"),
        ("ftp://host", "not the address of a server"),
        ("http://user:secret@host", "give the bare address"),
        ("http://host/?key=secret", "give the bare address"),
        ("http://host/#secret", "give the bare address"),
        ("http://:secret@host", "give the bare address"),
        ("http://user:sec#secret@host", "give the bare address"),
        ("https://secret?@host", "give the bare address"),
        ("http://[::1", "not the address of a server"),
        ("http://host:99999", "not the address of a server"),
        ("http://ho\tst", "not the address of a server"),
        ("http://host/\x1b[2J", "not the address of a server"),
    ],
)
def test_an_unusable_address_is_told_without_its_secret(url: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        Endpoint(url, 1)
    assert "secret" not in str(error.value)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/"])
def test_an_address_may_end_as_people_write_it(ending: str) -> None:
    assert Endpoint(f"http://host:80{ending}", 1).url == "http://host:80"


def test_the_key_goes_with_every_request_and_into_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRBENCH_API_KEY", "sesame")
    with serving(lambda *_: (401, {"error": "sesame"})) as loopback:
        with pytest.raises(UserError, match="wants a key: set the variable LRBENCH_API_KEY") as error:
            served(loopback)
        assert loopback.keys == ["Bearer sesame"]
        assert "sesame" not in str(error.value)
    refusing = serving(lambda *_: (400, {"error": {"message": "no key like sesame"}}))
    with refusing as loopback, pytest.raises(UserError, match=r"no key like \*\*\*"):
        served(loopback)


def test_an_adapter_is_loaded_for_as_long_as_it_is_used(tmp_path: Path) -> None:
    folder = tmp_path / ("f" * 64)
    with serving(echo) as loopback:
        with served(loopback).adapted(RULES, folder) as engine:
            engine.complete([[5]], 9)
        paths = [path for path, _ in loopback.requests]
        bodies = [body for _, body in loopback.requests]
    assert paths[-3:] == ["/v1/load_lora_adapter", "/v1/completions", "/v1/unload_lora_adapter"]
    assert bodies[-3]["lora_path"] == str(folder)
    name = bodies[-3]["lora_name"]
    assert name.startswith("lrbench-ffffffffffffffff-")
    assert (bodies[-2]["model"], bodies[-1]) == (name, {"lora_name": name})


def test_an_adapter_that_is_served_from_the_start_is_used_as_it_is(tmp_path: Path) -> None:
    name = "lrbench-ffffffffffffffff"

    def with_adapter(path: str, body: dict[str, Any]) -> Answer:
        cards = {"data": [{"id": "expert"}, {"id": name, "parent": "expert"}]}
        return (200, cards) if path == "/v1/models" else echo(path, body)

    with serving(with_adapter) as loopback:
        with served(loopback).adapted(RULES, tmp_path / ("f" * 64)) as engine:
            engine.complete([[5]], 9)
        assert loopback.requests[-1][1]["model"] == name


def test_a_server_that_cannot_load_adapters_is_told_how(tmp_path: Path) -> None:
    def fixed(path: str, body: dict[str, Any]) -> Answer:
        return (404, {"detail": "Not Found"}) if "lora" in path else echo(path, body)

    folder = tmp_path / ("f" * 64)
    with serving(fixed) as loopback, pytest.raises(RunError) as error:
        served(loopback).adapted(RULES, folder).__enter__()
    assert "/v1/load_lora_adapter answered 404" in str(error.value)
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1" in str(error.value)
    assert f"--lora-modules lrbench-ffffffffffffffff={folder}" in str(error.value)
