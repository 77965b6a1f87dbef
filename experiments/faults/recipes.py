"""Fuzzed recipes: `check` and `plan` answer each soon, with 0 or 2 and a message that says where."""

from __future__ import annotations

import json
import re
import resource
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from experiments.faults.campaign import Kind, Outcome
from experiments.faults.mutations import Fuzzed, fuzzed
from experiments.faults.oracle import misbehaved, unplaced
from experiments.faults.process import Ended, command

CPU_SECONDS = 10
MEMORY_BYTES = 2 * 2**30
# One in so many is planned, whatever `check` said; what is valid always is.
PLANNED = 5
# What of a valid recipe only this machine refuses: devices, models and data that are not here, other servers.
OF_THE_MACHINE = re.compile(
    r"cuda|GPU|vllm|offline|fetch|hub|server|http|no such (file|folder)|LRBENCH_DATA|not here", re.I
)


class Recipes(Kind):
    """Each case is the number of a recipe."""

    name = "recipes"
    full = 10_200
    batch = 50

    def cases(self, tries: int | None, seed: int) -> Sequence[tuple[int, int]]:
        """(seed, number) of every recipe."""
        return [(seed, number) for number in range(tries or 0)]

    def attempt(self, case: tuple[int, int], folder: Path) -> Outcome:
        """Try one recipe."""
        return self.attempt_all([case], folder)[0]

    def attempt_all(self, cases: Sequence[tuple[int, int]], folder: Path) -> list[Outcome]:
        """Check and plan recipes one after the other in a process of their own; what kills it is told."""
        outcomes: list[Outcome] = []
        said = folder / "said.jsonl"
        while len(outcomes) < len(cases):
            rest = cases[len(outcomes) :]
            said.write_bytes(b"")
            ended = command([], folder, main=lambda rest=rest: _try_all(rest, folder, said), patience=600)
            for case, line in zip(rest, said.read_text().splitlines(), strict=False):
                outcomes.append(_judged(fuzzed(*case), json.loads(line)))
            if len(outcomes) < len(cases) and len(said.read_text().splitlines()) < len(rest):
                recipe = fuzzed(*cases[len(outcomes)])
                outcomes.append(
                    Outcome(
                        recipe.sort,
                        f"the process ended with {ended.code} over this recipe",
                        detail=f"{ended.said}\n{recipe.data[:3000]!r}",
                    )
                )
        return outcomes


def _try_all(cases: Sequence[tuple[int, int]], folder: Path, said: Path) -> None:
    """In the process of a batch: one line of JSON for each recipe that it came through."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    with said.open("a") as out:
        for seed, number in cases:
            recipe = fuzzed(seed, number)
            path = recipe.write(folder).relative_to(folder)
            found = {"check": _tried(["check", str(path)])}
            if found["check"]["code"] == 0 or number % PLANNED == 0:
                found["plan"] = _tried(["plan", str(path), "--runs", "runs"])
            if recipe.overrides:
                found["plan with overrides"] = _tried(
                    ["plan", str(path), *recipe.overrides, "--runs", "runs"]
                )
            out.write(json.dumps(found) + "\n")
            out.flush()


def _tried(arguments: Sequence[str]) -> dict[str, object]:
    """One command in this process: its exit code, what it printed, and its processor's time."""
    from lrbench.cli import main

    used = resource.getrusage(resource.RUSAGE_SELF)
    before = used.ru_utime + used.ru_stime
    # The kernel ends a process that goes on for twice as long.
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(before) + 2 * CPU_SECONDS + 1, hard))
    sys.argv = ["lrbench", *arguments]
    code: object = 0
    streams = sys.stdout, sys.stderr
    # Files of their own, since a command writes to the descriptors of its streams.
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        sys.stdout, sys.stderr = _text(output), _text(errors)
        try:
            main()
        except SystemExit as end:
            code = end.code
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            sys.stdout, sys.stderr = streams
        said = [_read(output), _read(errors)]
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "code": code if isinstance(code, int) else int(code is not None),
        "output": said[0],
        "errors": said[1],
        "cpu": used.ru_utime + used.ru_stime - before,
    }


def _text(file: IO[bytes]) -> IO[str]:
    """`file` as a stream of text, which leaves it open."""
    return open(file.fileno(), "w", encoding="utf-8", errors="backslashreplace", closefd=False)


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(20_000).decode(errors="replace")


def _judged(recipe: Fuzzed, found: dict[str, dict[str, object]]) -> Outcome:
    detail = f"{recipe.data[:3000]!r}\n{recipe.overrides}\n{json.dumps(found, indent=1)}"
    for name, told in found.items():
        ended = Ended(
            code=int(str(told["code"])),
            output=str(told["output"]),
            errors=str(told["errors"]),
            seconds=0.0,
            cpu_seconds=float(str(told["cpu"])),
            grown_bytes=0,
            changes=0,
            stuck=False,
        )
        finding = misbehaved(ended, codes=(0, 2), cpu_seconds=CPU_SECONDS)
        if not finding and name == "check":
            finding = unplaced(ended)
        if not finding and name == "plan":
            finding = _disagreement(found["check"]["code"], ended)
        if finding:
            return Outcome(recipe.sort, f"{name}: {finding}", detail=detail)
    return Outcome(recipe.sort, detail=detail)


def _disagreement(checked: object, planned: Ended) -> str:
    if checked == 0 and planned.code == 2 and not OF_THE_MACHINE.search(planned.errors):
        return f"refuses what check calls valid: {planned.errors[:300]!r}"
    if checked == 2 and planned.code == 0:
        return "accepts what check refuses"
    return ""
