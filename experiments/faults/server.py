"""A completions server that runs the embedded expert and lies in the way its address asks for.

`python -m experiments.faults.server` prints its port. `/CASE/v1/completions` answers as CASE says, where
`good` is an honest server; proofs of the model are answered rightly where the case does not lie about them.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import torch
from transformers import AutoModelForCausalLM

from tests.engines.hostile_answers import LIES, LOG_PROBABILITIES, MALFORMED, MODELS, REFUSALS, Refusal

GOOD = "good"
# What these lies say is another answer to this model, and no lie that could be found out.
UNKNOWABLE = ("the first id beyond the vocabulary", "an id that stands for no token")


def cases() -> list[str]:
    """The names of all cases, as they stand in an address."""
    return [
        GOOD,
        *(f"lie: {name}" for name in LIES if name not in UNKNOWABLE),
        *(f"body: {name}" for name in MALFORMED),
        *(f"refusal: {name}" for name in REFUSALS),
        *(f"logprobs: {name}" for name in LOG_PROBABILITIES),
        *(f"models: {name}" for name in MODELS),
    ]


class Expert:
    """Greedy completions and log-probabilities of the embedded expert."""

    def __init__(self) -> None:
        import lrbench.embedded

        folder = Path(str(lrbench.embedded.__file__)).parent / "models" / "expert"
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.lock = threading.Lock()

    @torch.no_grad()
    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """The choice of an honest server."""
        prompt = list(body["prompt"])
        with self.lock:
            if "prompt_logprobs" in body:
                return self._logprobs(prompt)
            ids = list(prompt)
            while len(ids) - len(prompt) < body["max_tokens"]:
                logits = self.model(input_ids=torch.tensor([ids])).logits[0, -1]
                for token, bias in (body.get("logit_bias") or {}).items():
                    logits[int(token)] += bias
                ids.append(int(logits.argmax()))
                if ids[-1] in body["stop_token_ids"]:
                    break
        written = ids[len(prompt) :]
        reason = "stop" if written[-1] in body["stop_token_ids"] else "length"
        return {"index": 0, "text": "", "token_ids": written, "finish_reason": reason}

    def _logprobs(self, prompt: list[int]) -> dict[str, Any]:
        logits = self.model(input_ids=torch.tensor([prompt])).logits[0, :-1].float().log_softmax(-1)
        values = [float(row[token]) for row, token in zip(logits, prompt[1:], strict=True)]
        told = [None, *({str(t): {"logprob": v}} for t, v in zip(prompt[1:], values, strict=True))]
        return {
            "index": 0, "text": "", "token_ids": [0], "finish_reason": "length", "prompt_logprobs": told,
        }  # fmt: skip


def handler(expert: Expert) -> type[BaseHTTPRequestHandler]:
    """Answers of `expert`, changed as the case in the address asks for."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            sort, name = self._case()
            if sort == "models":
                self._send(200, MODELS[name])
            elif sort == "refusal" and len(name) % 2:
                self._refuse(REFUSALS[name])
            else:
                self._send(200, json.dumps({"data": [{"id": "expert"}]}).encode())

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            sort, name = self._case()
            choice: Any = expert.answer(body)
            if "prompt_logprobs" in body:
                if sort == "logprobs":
                    choice = choice | {"prompt_logprobs": LOG_PROBABILITIES[name]}
            elif sort == "lie":
                choice = LIES[name](choice)
            elif sort == "body":
                self._send(200, MALFORMED[name])
                return
            elif sort == "refusal":
                self._refuse(REFUSALS[name])
                return
            self._send(200, json.dumps({"choices": [choice]}).encode())

        def _case(self) -> tuple[str, str]:
            sort, _, name = unquote(self.path.split("/")[1]).partition(": ")
            return sort, name

        def _refuse(self, refusal: Refusal) -> None:
            more = 10 if refusal.break_off else 0
            self._send(refusal.status, refusal.body, refusal.headers, more)
            self.close_connection = bool(more)

        def _send(
            self, status: int, data: bytes, headers: tuple[tuple[str, str], ...] = (), more: int = 0
        ) -> None:
            self.send_response(status)
            for header, value in headers:
                self.send_header(header, value)
            self.send_header("Content-Length", str(len(data) + more))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Not on the terminal."""

    return Handler


class Quiet(ThreadingHTTPServer):
    """A server that says nothing of clients that leave."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was lied to breaks off."""


def main() -> None:
    """Serve until killed."""
    torch.set_num_threads(1)
    server = Quiet(("127.0.0.1", 0), handler(Expert()))
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
