"""`lrbench dashboard`: what cannot be served is said, and what is served is served to this machine."""

from __future__ import annotations

import http.client
import importlib.util
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from lrbench_dashboard.__main__ import main

from lrbench.dashboard_command import dashboard
from lrbench.errors import UserError
from tests.dashboard.conftest import served


def test_a_port_that_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SystemExit) as stopped:
            main(["--runs", str(tmp_path), "--port", str(port)])
    assert stopped.value.code == 2
    assert capsys.readouterr().err == (
        f"error: port {port} is taken, perhaps by another dashboard. Choose another with --port.\n"
    )


@pytest.mark.parametrize("port", ["0", "70000", "-1"])
def test_what_is_no_port(tmp_path: Path, capsys: pytest.CaptureFixture[str], port: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--runs", str(tmp_path), f"--port={port}"])
    assert stopped.value.code == 2
    assert f"error: {port} is not a port. --port takes a number from 1 to 65535." in capsys.readouterr().err


def test_a_runs_folder_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "runs"
    file.write_text("")
    with pytest.raises(SystemExit) as stopped:
        main(["--runs", str(file)])
    assert stopped.value.code == 2
    assert f"error: {file} is not a folder. --runs takes the folder" in capsys.readouterr().err


def test_a_runs_folder_that_the_system_refuses_to_look_for(capsys: pytest.CaptureFixture[str]) -> None:
    name = "a" * 5000
    with pytest.raises(SystemExit) as stopped:
        main(["--runs", name])
    assert stopped.value.code == 2
    assert "cannot be read: File name too long. --runs takes a folder" in capsys.readouterr().err


def test_an_installation_without_streamlit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"needs Streamlit: pip install 'lrbench\[dashboard\]'$"):
        dashboard(runs=tmp_path)


SOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "streamlit",
}


def status(address: str, path: str, headers: dict[str, str]) -> int:
    """How a GET is answered that has these headers and no others."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
    connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    try:
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.slow
def test_requests_for_another_name_or_of_another_page_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMLIT_SERVER_ENABLE_CORS", "false")
    with served(tmp_path, tmp_path / "log") as address:
        port = urlsplit(address).port
        own = [f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", f"LOCALHOST:{port}", "localhost"]
        others = ["evil.example", f"evil.example:{port}", f"localhost.evil.example:{port}", "0x7f.1", "*", ""]
        for host, page, opened in [*((name, 200, 101) for name in own), *((name, 400, 0) for name in others)]:
            assert status(address, "/", {"Host": host}) == page, host
            assert status(address, "/_stcore/health", {"Host": host}) == page, host
            found = status(address, "/_stcore/stream", {"Host": host, **SOCKET})
            assert found == opened if opened else found in (400, 403), host
        for origin, allowed in {f"http://localhost:{port}": True, "http://evil.example": False}.items():
            headers = {"Host": own[0], "Origin": origin, **SOCKET}
            assert (status(address, "/_stcore/stream", headers) == 101) is allowed, origin
