"""Build a virtual environment of the project, once per state of its inputs.

`.venv` holds the project; with `--vllm`, `.venv-vllm` holds the project beside vLLM, and with `--docs`,
`.venv-docs` what builds the documentation, beside the project without what it runs on. Called by every
Makefile target that runs code; a finished environment answers in milliseconds. An environment is
finished when its stamp holds the hash of everything that decides its content; an interrupted build
leaves no stamp and is built anew, from the download caches.

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
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / "requirements"
TORCH = (PINS / "torch.txt").read_text().strip()
UV = "uv==0.13.8"
# Used only on a machine without a GPU where pip's own choice would be a GPU build.
CPU_INDEX = os.environ.get("LRBENCH_TORCH_CPU_INDEX", "https://download.pytorch.org/whl/cpu")


@dataclass(frozen=True)
class Environment:
    """A folder and the locked packages in it; without `torch_by_pip`, torch is in `lock` or not needed."""

    folder: Path
    lock: Path
    torch_by_pip: bool

    @property
    def stamp(self) -> Path:
        return self.folder / "lrbench-environment.sha256"

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"


def wanted(kind: str) -> Environment:
    if kind == "":
        return Environment(ROOT / ".venv", PINS / "lrbench.lock", torch_by_pip=True)
    if kind == "--docs":
        return Environment(ROOT / ".venv-docs", PINS / "docs.lock", torch_by_pip=False)
    # vLLM for a GPU comes with CUDA packages that fit its torch, so all of it is locked together.
    name = "vllm-gpu.lock" if has_gpu() else "vllm-cpu.lock"
    return Environment(ROOT / ".venv-vllm", PINS / name, torch_by_pip=not has_gpu())


def inputs_hash(environment: Environment) -> str:
    digest = hashlib.sha256(f"{sys.version_info[:3]} {ROOT} {has_gpu()}".encode())
    for path in (ROOT / "pyproject.toml", environment.lock, PINS / "torch.txt", Path(__file__)):
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


def compile_packages(environment: Environment) -> None:
    """Compile once what every process would compile for itself where Python may not write beside its sources.

    That is the rule in containers, and takes a command that loads transformers five seconds each time.
    """
    folder = next((environment.folder / "lib").glob("python*/site-packages"))
    # A package may carry templates or files of another Python, which fail here and are never imported.
    subprocess.run(
        [environment.python, "-m", "compileall", "-qq", "-j", "0", "-x", "/tests?/", folder], check=False
    )


def build(environment: Environment, stamp: str) -> None:
    def say(message: str) -> None:
        print(f"environment: {message}", file=sys.stderr, flush=True)

    python = environment.python
    say(f"building {environment.folder.name} (a few minutes, once)")
    shutil.rmtree(environment.folder, ignore_errors=True)
    run(sys.executable, "-m", "venv", environment.folder)
    run(python, "-m", "pip", "install", "--quiet", UV)
    if environment.torch_by_pip:
        say(f"installing {TORCH} ({'GPU' if has_gpu() else 'CPU'} build)")
        install_torch(python)
    say(f"installing the packages of {environment.lock.name}")
    uv = [environment.folder / "bin" / "uv", "pip", "install", "--quiet", "--python", python]
    run(*uv, "--require-hashes", "--no-deps", "-r", environment.lock)
    run(*uv, "--no-deps", "--no-build-isolation", "-e", ROOT)
    say("compiling them")
    compile_packages(environment)
    environment.stamp.write_text(stamp)
    say("ready")


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--vllm"], ["--docs"]):
        print("usage: environment.py [--vllm | --docs]", file=sys.stderr)
        return 2
    kind = "".join(arguments)
    vllm = kind == "--vllm"
    # A package of vLLM's for a GPU has no wheels for 3.13.
    newest = 12 if vllm and has_gpu() else 13
    if not (3, 11) <= sys.version_info[:2] <= (3, newest):
        print(
            f"lrbench{' beside vLLM' if vllm else ''} needs Python 3.11 to 3.{newest}, this is "
            f"{sys.version.split()[0]}: leave PYTHON out, or try 'make PYTHON=python3.11 ...'",
            file=sys.stderr,
        )
        return 2
    environment = wanted(kind)
    with (ROOT / f"{environment.folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = inputs_hash(environment)
        if environment.stamp.exists() and environment.stamp.read_text() == stamp:
            return 0
        try:
            build(environment, stamp)
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
    sys.exit(main(sys.argv[1:]))
