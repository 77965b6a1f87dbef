"""One device, measured within minutes: `python -m experiments.bench.device --to FOLDER [--dry]`.

Every part is a process with a time limit of its own. A line is in FOLDER/device.jsonl as soon as it is
measured, and in the printed table when its part is over, in whatever way that came. `--dry` takes toy models
on the CPU, to see that all parts work.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments.bench.measuring import Comparison, Figure, Line, print_table
from experiments.bench.running import ROOT

SECONDS = 470.0
# The most important first: where all take their whole time, the last has what is left.
LIMITS = {"loss": 70.0, "recipe": 110.0, "queue": 150.0, "dtypes": 60.0, "large": 80.0}
KINDS: dict[str, type[Comparison] | type[Figure]] = {"comparison": Comparison, "figure": Figure}
Command = Callable[[str], Sequence[str]]


def main() -> None:
    """All parts, or with `--part` one of them in this process."""
    parser = argparse.ArgumentParser(prog="python -m experiments.bench.device", description=__doc__)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--dry", action="store_true")
    parser.add_argument("--part", choices=LIMITS)
    arguments = parser.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    record = arguments.to / "device.jsonl"
    if arguments.part is not None:
        measure(arguments.part, arguments.dry, record)
        return

    def command(part: str) -> Sequence[str]:
        own = [sys.executable, "-m", "experiments.bench.device", "--to", str(arguments.to), "--part", part]
        return [*own, *(["--dry"] if arguments.dry else [])]

    print_table(in_parts(LIMITS, command, record))


def measure(part: str, dry: bool, record: Path) -> None:
    """Write every line of a part as soon as it is known, and before them what they are measured on."""
    import torch
    import transformers

    from experiments.bench.device_parts import DRY, PARTS, PUBLISHED

    device = torch.cuda.get_device_name() if torch.cuda.is_available() and not dry else platform.machine()
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    _write(record, {"part": part, "device": device} | versions)
    for line in PARTS[part](DRY if dry else PUBLISHED):
        kind = next(name for name, of in KINDS.items() if isinstance(line, of))
        _write(record, {"part": part, "kind": kind} | asdict(line))


def in_parts(
    limits: Mapping[str, float], command: Command, record: Path, seconds: float = SECONDS
) -> Iterator[Line]:
    """The lines of all parts, each run by its command for no longer than its limit, and all than `seconds`.

    One that fails or is stopped costs nothing but the lines that it has not measured yet.
    """
    record.unlink(missing_ok=True)
    began = time.monotonic()
    for part, limit in limits.items():
        left = min(limit, seconds - (time.monotonic() - began))
        stopped = _stopped(command(part), left)
        if stopped:
            # It may have been stopped in the middle of a line.
            _write(record, {"part": part, "stopped": stopped}, before="\n")
        for line in _read(record):
            if line["part"] != part or "device" in line:
                continue
            if "stopped" in line:
                yield Figure(f"{part}: {line['stopped']}", [])
                continue
            kind = KINDS[line.pop("kind")]
            del line["part"]
            yield kind(**line)


def _stopped(command: Sequence[str], limit: float) -> str:
    """Run a command; why it did not come to its end, or nothing."""
    if limit <= 0:
        return "no time was left for it"
    try:
        code = subprocess.run(command, cwd=ROOT, timeout=limit, stdout=subprocess.DEVNULL).returncode
    except subprocess.TimeoutExpired:
        return f"stopped after {limit:.0f} s"
    return f"ended with exit code {code}" if code else ""


def _read(record: Path) -> list[dict[str, Any]]:
    """All lines that are whole."""
    if not record.exists():
        return []
    return [json.loads(line) for line in record.read_text().splitlines() if line.endswith("}")]


def _write(record: Path, line: Mapping[str, Any], before: str = "") -> None:
    with record.open("a") as lines:
        lines.write(f"{before}{json.dumps(line)}\n")


if __name__ == "__main__":
    main()
