"""`python -m dashboard`: what cannot be served is said, and what is served is served to this machine."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from dashboard.__main__ import main


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
