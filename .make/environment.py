"""Build the project's virtual environment, once per state of its inputs.

Called by every Makefile target that runs code; a finished environment answers in milliseconds.
An environment is finished when its stamp holds the hash of everything that decides its content;
an interrupted build leaves no stamp and is built anew, from the download caches.

Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
STAMP = ENVIRONMENT / "lrbench-environment.sha256"
LOCK = ROOT / "requirements.lock"
TORCH = "torch==2.13.0"
UV = "uv==0.13.8"
# Used only on a machine without a GPU where pip's own choice would be a GPU build.
CPU_INDEX = os.environ.get("LRBENCH_TORCH_CPU_INDEX", "https://download.pytorch.org/whl/cpu")


def inputs_hash() -> str:
    digest = hashlib.sha256(f"{sys.version_info[:3]} {ROOT} {has_gpu()}".encode())
    for path in (ROOT / "pyproject.toml", LOCK, Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def has_gpu() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def run(*command: str | Path) -> None:
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr)


def install_torch(python: Path) -> None:
    if has_gpu() or sys.platform != "linux":
        run(python, "-m", "pip", "install", "--quiet", TORCH)
        return
    probe = [str(python), "-m", "pip", "install", "--quiet", "--dry-run", "--no-deps"]
    report = subprocess.run([*probe, "--report", "-", TORCH], stdout=subprocess.PIPE, text=True)
    found = json.loads(report.stdout)["install"] if report.returncode == 0 else []
    index = [] if any("+cpu" in item["metadata"]["version"] for item in found) else ["--index-url", CPU_INDEX]
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", *index, TORCH)


def build(stamp: str) -> None:
    def say(message: str) -> None:
        print(f"environment: {message}", file=sys.stderr, flush=True)

    say("building .venv (a few minutes, once)")
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    run(sys.executable, "-m", "venv", ENVIRONMENT)
    python = ENVIRONMENT / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", UV)
    say(f"installing {TORCH} ({'GPU' if has_gpu() else 'CPU'} build)")
    install_torch(python)
    say("installing the locked packages")
    uv = [ENVIRONMENT / "bin" / "uv", "pip", "install", "--quiet", "--python", python]
    run(*uv, "--require-hashes", "--no-deps", "-r", LOCK)
    run(*uv, "--no-deps", "--no-build-isolation", "-e", ROOT)
    STAMP.write_text(stamp)
    say("ready")


def main() -> int:
    if sys.version_info[:2] not in ((3, 11), (3, 12)):
        print(
            f"lrbench needs Python 3.11 or 3.12, this is {sys.version.split()[0]}: "
            "try 'make PYTHON=python3.11 ...'",
            file=sys.stderr,
        )
        return 2
    with (ROOT / ".venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = inputs_hash()
        if STAMP.exists() and STAMP.read_text() == stamp:
            return 0
        try:
            build(stamp)
        except subprocess.CalledProcessError as error:
            command = " ".join(map(str, error.cmd))
            print(
                f"environment: this command failed:\n  {command}\n"
                "Its own message is above; 'make' again tries anew.",
                file=sys.stderr,
            )
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
