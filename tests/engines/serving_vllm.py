"""A real `vllm serve` for as long as a test session needs it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import urllib3

START_SECONDS = 180
KEY = "key-of-the-tests"
SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
    "VLLM_API_KEY": KEY,
}


@contextmanager
def vllm_serving(folder: Path, log: Path) -> Iterator[str]:
    """Serve the model of `folder` on a free port of this machine; the address comes once it is healthy.

    The server and all it has started are killed when the block is left, however it is left.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # What `vllm serve` starts; that command itself asks for a distribution named vllm, which the CPU build
    # is not.
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
    options = ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", "expert", "--seed", "0"]
    options += ["--dtype", "float32", "--enforce-eager", "--generation-config", "vllm"]
    # The CPU build stops where it reads the prompt of a sampled row in pieces.
    options += ["--no-enable-chunked-prefill"]
    options += ["--enable-lora", "--max-lora-rank", "16", "--max-num-seqs", "50"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, *options],
            env=os.environ | SETTINGS,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(process, url, log)
        yield url
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if urllib3.request("GET", f"{url}/health", retries=False, timeout=2).status == 200:
                return
        except urllib3.exceptions.HTTPError:
            time.sleep(0.5)
    pytest.fail(f"vllm serve did not come up; the end of its log:\n{log.read_text()[-3000:]}")
