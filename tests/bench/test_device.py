"""`experiments/bench/device.sh` with toy models: every part measures, and a slow one costs no other."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.bench import device
from experiments.bench.device_parts import DRY, PARTS
from experiments.bench.fine_tuning import bare_update, our_update
from experiments.bench.measuring import Comparison, Figure
from experiments.bench.one_queue import forwards, of_many_lengths
from experiments.bench.subjects import random_pair
from lrbench.recipe.schema import Lora


def test_the_parts_are_those_that_have_a_limit_and_end_within_eight_minutes() -> None:
    assert list(PARTS) == list(device.LIMITS)
    assert sum(device.LIMITS.values()) <= device.SECONDS < 8 * 60


def test_every_part_writes_what_it_measures(tmp_path: Path) -> None:
    record = tmp_path / "device.jsonl"
    for part in PARTS:
        device.measure(part, dry=True, record=record)
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert [line["torch"] for line in lines if "device" in line] == [torch.__version__] * len(PARTS)
    measured = {part: [line for line in lines if line["part"] == part and "kind" in line] for part in PARTS}
    assert {part: len(found) for part, found in measured.items()} == {
        "loss": 1, "recipe": 3, "queue": 4, "dtypes": 4, "large": 3,
    }  # fmt: skip
    for line in (line for found in measured.values() for line in found):
        values = [*line["ours"], *line["other"]] if line["kind"] == "comparison" else line["values"]
        assert values
        assert min(values) >= 0
    (equal,) = (line for line in measured["dtypes"] if "share equal" in line["name"])
    assert 0 <= equal["values"][0] <= 1


def in_parts(scripts: dict[str, str], limits: dict[str, float], record: Path, **settings: Any) -> list[Any]:
    """The parts as programs of their own, which know `write` and the record."""
    head = f"import json, sys, time; record = open({str(record)!r}, 'a')\n"
    head += "def write(**line): record.write(json.dumps(line) + chr(10)); record.flush()\n"

    def command(part: str) -> Sequence[str]:
        return [sys.executable, "-S", "-c", head + scripts[part]]

    return list(device.in_parts(limits, command, record, **settings))


def test_a_part_that_is_stopped_or_fails_keeps_its_lines_and_costs_no_other(tmp_path: Path) -> None:
    line = "write(part={!r}, kind='figure', name={!r}, values=[1.0], wanted='')\n"
    scripts = {
        "slow": line.format("slow", "in time") + "record.write('{\"part'); record.flush(); time.sleep(60)",
        "failing": line.format("failing", "before") + "sys.exit(3)",
        "good": "write(part='good', kind='comparison', name='both', ours=[1.0], other=[2.0], wanted='')",
    }
    record = tmp_path / "device.jsonl"
    found = in_parts(scripts, {"slow": 2.0, "failing": 30.0, "good": 30.0}, record)
    assert found == [
        Figure("in time", [1.0]),
        Figure("slow: stopped after 2 s", []),
        Figure("before", [1.0]),
        Figure("failing: ended with exit code 3", []),
        Comparison("both", [1.0], [2.0], ""),
    ]


def test_what_no_time_is_left_for_is_named(tmp_path: Path) -> None:
    found = in_parts({"late": ""}, {"late": 30.0}, tmp_path / "device.jsonl", seconds=0.0)
    assert found == [Figure("late: no time was left for it", [])]


def test_the_bare_loop_learns_what_ours_does() -> None:
    subject = random_pair(replace(DRY.pair, tokens=720)).first(3)
    exact = replace(subject, lora=Lora(dropout=0.0))
    ours, bare = our_update(exact, subject.rollouts), bare_update(exact, subject.rollouts)
    first, *_, last = [(ours(), bare()) for _ in range(20)]
    for one, other in (first, last):
        assert one == pytest.approx(other, abs=1e-4)
    assert last[0] < first[0]


def test_one_queue_takes_fewer_forwards_than_shards() -> None:
    subject = random_pair(replace(DRY.pair, prompts=60, new_tokens=30))
    requests = of_many_lengths(subject)
    assert len({request.max_new_tokens for request in requests}) > 3
    whole, shards = (forwards(subject, requests, 16, size) for size in (60, 20))
    assert max(request.max_new_tokens for request in requests) <= whole < shards
