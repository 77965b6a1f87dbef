"""`make` takes the newest Python that is there and can make an environment, or says what to install."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent


def chosen(folder: Path, **working: bool) -> subprocess.CompletedProcess[str]:
    """What is chosen where the machine has these names for Python, and some do not work."""
    for name, works in working.items():
        program = folder / name.replace("_", ".")
        program.write_text(f"#!/bin/sh\nexit {0 if works else 1}\n")
        program.chmod(0o755)
    cat = shutil.which("cat")
    assert cat is not None
    (folder / "cat").symlink_to(cat)
    command = ["/bin/sh", ROOT / ".make" / "python", "3.13", "3.12", "3.11"]
    return subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": str(folder)})


def test_the_newest_that_works_is_taken(tmp_path: Path) -> None:
    found = chosen(tmp_path, python3_11=True, python3_12=True, python3_13=False, python3=True)
    assert (found.stdout, found.stderr) == ("python3.12\n", "")


def test_where_there_is_none_it_says_what_to_install(tmp_path: Path) -> None:
    found = chosen(tmp_path, python3=False)
    assert found.stdout == "false\n"
    assert found.stderr.startswith(
        "lrbench needs one of Python 3.13 3.12 3.11 with its module venv, and none is"
    )
    assert "apt install python3 python3-venv" in found.stderr
    assert 'uv python install 3.13, then make PYTHON="$(uv python find 3.13)"' in found.stderr
