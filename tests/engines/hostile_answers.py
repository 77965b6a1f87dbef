"""Answers of a lying or broken server, each wrong in one way: pure data, for whoever tries a server's client.

`MALFORMED` are bodies with status 200 that are no completion. `LIES` are changes of a good completion: a
function of its choice, and of what was asked, gives the choice that is served. `REFUSALS` are whole answers
with a status, headers and a body.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

HUGE = 10**30
ESCAPE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\r"
MORE_THAN_IS_READ = 17 * 2**20

Choice = dict[str, Any]


@dataclass(frozen=True)
class Refusal:
    """A whole HTTP answer; `break_off` closes the connection where more was promised."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    break_off: bool = False


def _with(**fields: Any) -> Callable[[Choice], Choice]:
    return lambda choice: choice | fields


def _ids(change: Callable[[list[Any]], Any]) -> Callable[[Choice], Choice]:
    return lambda choice: choice | {"token_ids": change(list(choice["token_ids"]))}


# Every one serves another choice than the good one, whose ids end with a stop token and which says `stop`.
LIES: dict[str, Callable[[Choice], Any]] = {
    "an id beyond the vocabulary": _ids(lambda ids: [10**6, *ids[1:]]),
    "the first id beyond the vocabulary": _ids(lambda ids: [64, *ids[1:]]),
    "a negative id": _ids(lambda ids: [-1, *ids[1:]]),
    "an id of thirty digits": _ids(lambda ids: [HUGE, *ids[1:]]),
    "true as an id": _ids(lambda ids: [True, *ids[1:]]),
    "false as an id": _ids(lambda ids: [False, *ids[1:]]),
    "null as an id": _ids(lambda ids: [None, *ids[1:]]),
    "a whole float as an id": _ids(lambda ids: [float(ids[0]), *ids[1:]]),
    "a broken float as an id": _ids(lambda ids: [0.5, *ids[1:]]),
    "a text as an id": _ids(lambda ids: [str(ids[0]), *ids[1:]]),
    "a list as an id": _ids(lambda ids: [[ids[0]], *ids[1:]]),
    "an object as an id": _ids(lambda ids: [{"id": ids[0]}, *ids[1:]]),
    "ids in a list of lists": _ids(lambda ids: [ids]),
    "ids as an object": _ids(lambda ids: dict(enumerate(ids))),
    "ids as a text": _ids(lambda ids: " ".join(map(str, ids))),
    "ids as a number": _ids(lambda ids: ids[0]),
    "an id that stands for no token": _ids(lambda ids: [60, *ids[1:]]),
    "no ids at all": _ids(lambda _: []),
    "ids beyond the stop token": _ids(lambda ids: [*ids, 9]),
    "two stop tokens": _ids(lambda ids: [*ids, ids[-1]]),
    "a stop without a stop token": _ids(lambda ids: ids[:-1]),
    "far more ids than were asked": _ids(lambda _: [9] * 5000),
    "the reason length for a short completion": _with(finish_reason="length"),
    "the reason abort": _with(finish_reason="abort"),
    "the reason error": _with(finish_reason="error"),
    "the reason content_filter": _with(finish_reason="content_filter"),
    "an unknown reason with control characters": _with(finish_reason=ESCAPE),
    "an empty reason": _with(finish_reason=""),
    "no reason": lambda choice: {name: value for name, value in choice.items() if name != "finish_reason"},
    "null as the reason": _with(finish_reason=None),
    "a number as the reason": _with(finish_reason=1),
    "a list as the reason": _with(finish_reason=["stop"]),
    "another prompt than was sent": _with(prompt_token_ids=[1, 2, 3, 4]),
    "a prompt of another type": _with(prompt_token_ids="the prompt"),
    "null as the ids": _with(token_ids=None),
    "text alone": lambda _: {"text": "4", "finish_reason": "stop"},
    "a choice that is a text": lambda _: "4",
    "a choice that is null": lambda _: None,
    "a choice that is a list": lambda choice: [choice],
}

GOOD = '{"text":"","token_ids":[5,2],"finish_reason":"stop"}'

MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "blanks": b"  \n",
    "null": b"null",
    "a number": b"1",
    "a text": b'"choices"',
    "a list": b"[]",
    "an empty object": b"{}",
    "no choice": b'{"choices":[]}',
    "two choices": f'{{"choices":[{GOOD},{GOOD}]}}'.encode(),
    "choices that are null": b'{"choices":null}',
    "choices that are an object": f'{{"choices":{{"0":{GOOD}}}}}'.encode(),
    "another model": f'{{"model":"somebody-else","choices":[{GOOD}]}}'.encode(),
    "a model that is a number": f'{{"model":5,"choices":[{GOOD}]}}'.encode(),
    "an error with status 200": b'{"error":{"message":"out of memory","code":500}}',
    "a page of HTML": b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>\x1b[2J</body></html>",
    "plain text": b"Internal Server Error",
    "control characters": ESCAPE.encode(),
    "bytes that are no text": b"\xff\xfe\x00\x80",
    "NaN": b'{"choices":[{"token_ids":[NaN,2],"finish_reason":"stop"}]}',
    "Infinity": b'{"choices":[{"token_ids":[Infinity,2],"finish_reason":"stop"}]}',
    "a number that is too large": b'{"choices":[{"token_ids":[1e999,2],"finish_reason":"stop"}]}',
    "a number of ten thousand digits": b'{"choices":[{"token_ids":[' + b"9" * 10_000 + b",2]}]}",
    "a key that stands twice": b'{"choices":[{"token_ids":[9,2],"token_ids":[5,2],"finish_reason":"stop"}]}',
    "half a character": b'{"choices":[{"text":"\\ud83d","token_ids":[5,2],"finish_reason":"stop"}]}',
    "deep nesting": b"[" * 100_000 + b"]" * 100_000,
    "deep nesting of objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "an answer cut short": f'{{"choices":[{GOOD}'.encode(),
    "two answers": f'{{"choices":[{GOOD}]}}{{"choices":[{GOOD}]}}'.encode(),
    "an event stream": f'data: {{"choices":[{GOOD}]}}\n\ndata: [DONE]\n\n'.encode(),
    "a huge answer": b'{"choices":[],"filler":"' + b"x" * MORE_THAN_IS_READ + b'"}',
}

HTML = (("Content-Type", "text/html"),)
REFUSALS: dict[str, Refusal] = {
    "an error as HTML": Refusal(500, b"<html><body><h1>500</h1>\x1b[31mred</body></html>", HTML),
    "an error with a message": Refusal(400, json.dumps({"error": {"message": ESCAPE + "no"}}).encode()),
    "an error whose message is a list": Refusal(400, b'{"error":{"message":[["no"]]}}'),
    "an error that is deeply nested": Refusal(400, b"[" * 100_000),
    "an error without a body": Refusal(404, b""),
    "a huge error": Refusal(500, b"x" * MORE_THAN_IS_READ),
    "success without content": Refusal(204, b""),
    "another success": Refusal(201, f'{{"choices":[{GOOD}]}}'.encode()),
    "a redirect to another machine": Refusal(302, b"", (("Location", "http://evil.example/\x1b[2J"),)),
    "a lasting redirect": Refusal(308, b"", (("Location", "//evil.example/v1"),)),
    "a redirect to nowhere": Refusal(301, b""),
    "compressed content": Refusal(200, b"\x1f\x8b\x08\x00", (("Content-Encoding", "gzip"),)),
    "an answer that breaks off": Refusal(200, b'{"choices":', break_off=True),
}

# The log-probabilities of a prompt of three ids, 5, 6 and 7, where [null, {"6": ...}, {"7": ...}] is right.
LOG_PROBABILITIES: dict[str, Any] = {
    "above 0": [None, {"6": {"logprob": 0.5}}, {"7": {"logprob": -2.5}}],
    "a text": [None, {"6": {"logprob": "-1.5"}}, {"7": {"logprob": -2.5}}],
    "null": [None, {"6": {"logprob": None}}, {"7": {"logprob": -2.5}}],
    "true": [None, {"6": {"logprob": True}}, {"7": {"logprob": -2.5}}],
    "of thirty digits": [None, {"6": {"logprob": -(10**400)}}, {"7": {"logprob": -2.5}}],
    "a bare number": [None, -1.5, -2.5],
    "missing in its entry": [None, {"6": {}}, {"7": {"logprob": -2.5}}],
    "of other ids": [None, {"9": {"logprob": -1.5}}, {"7": {"logprob": -2.5}}],
    "null for a later token": [None, None, {"7": {"logprob": -2.5}}],
    "too few": [None, {"6": {"logprob": -1.5}}],
    "too many": [None, {"6": {"logprob": -1.5}}, {"7": {"logprob": -2.5}}, {"8": {"logprob": -2.5}}],
    "an object": {"6": {"logprob": -1.5}},
    "a number": -1.5,
}

# The answer at /v1/models.
MODELS: dict[str, bytes] = {
    "HTML": b"<html>",
    "null": b"null",
    "a list": b"[]",
    "no data": b"{}",
    "null as data": b'{"data":null}',
    "a card without a name": b'{"data":[{}]}',
    "a card that is null": b'{"data":[null]}',
    "a name that is a number": b'{"data":[{"id":5}]}',
    "an empty name": b'{"data":[{"id":""}]}',
    "a list as the name": b'{"data":[{"id":["expert"]}]}',
    "a name of a megabyte": b'{"data":[{"id":"' + b"x" * 2**20 + b'"}]}',
    "a parent that is a list": b'{"data":[{"id":"expert","parent":[]}]}',
    "deep nesting": b'{"data":' + b"[" * 100_000,
    "a key that stands twice": b'{"data":[{"id":"a","id":"expert"}]}',
}
