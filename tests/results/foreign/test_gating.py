"""The gate on result files: the three exit codes, as a script meets them, and what it is asked wrongly."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from lrbench.errors import DataError, UserError
from lrbench.evaluation.statistics import AverageDifference, BenchmarkDifference, Flips
from lrbench.results.claims.gates import Asked, asked_of, gate_markdown
from lrbench.results.foreign.gating import gate_files
from tests.commands import LRBENCH, ROOT, lrbench
from tests.results.foreign.support import table, write_csv

BASE = "1100110011" * 20
WORSE = "1000100011" * 20


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A base, one that is as good, one that is worse, and one with so few items that nothing can be said."""
    table(tmp_path / "base.csv", BASE)
    table(tmp_path / "same.csv", BASE)
    table(tmp_path / "worse.csv", WORSE)
    table(tmp_path / "few.csv", "1001")
    return tmp_path


def test_a_script_goes_by_the_exit_code(files: Path) -> None:
    """By a shell, with `set -e` off, as continuous integration would."""
    script = "".join(
        f"{shlex.join(LRBENCH)} gate {name}.csv --no-worse-than base.csv --by 3 --summary {name}.md\n"
        f'echo "{name} $?"\n'
        for name in ("same", "worse", "few")
    )
    script += f'{shlex.join(LRBENCH)} gate gone.csv --no-worse-than base.csv --by 3\necho "gone $?"\n'
    found = subprocess.run(
        ["bash", "-c", script],
        cwd=files,
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )
    codes = [line for line in found.stdout.splitlines() if line.count(" ") == 1 and line[-1].isdigit()]
    assert codes == ["same 0", "worse 3", "few 4", "gone 2"], found.stderr
    assert (files / "worse.md").read_text().startswith("## lrbench gate: refuted: of 1 claim, 1 refuted\n")
    assert "Traceback" not in found.stderr


def test_the_verdict_is_that_of_the_exact_test(files: Path) -> None:
    (_, judgement), *_ = gate_files(
        [str(files / "worse.csv")], Asked(str(files / "base.csv"), 3.0)
    ).judgements
    test = BenchmarkDifference(Flips(won=0, lost=40, both=80, neither=80))
    evidence = judgement.evidence
    assert evidence is not None
    assert evidence.difference == -20
    assert evidence.p_supported == min(1.0, 2 * test.p_above(-3))
    assert evidence.p_refuted == min(1.0, 2 * test.p_below(-3))
    assert evidence.interval == test.interval(0.95)


def test_several_benchmarks_are_judged_on_average_or_one_by_one(tmp_path: Path) -> None:
    for name, words in (("base", (BASE, BASE)), ("new", (WORSE, BASE))):
        lines = [
            {"system": name, "benchmark": benchmark, "item": number, "correct": outcome}
            for benchmark, outcomes in zip(("sums", "products"), words, strict=True)
            for number, outcome in enumerate(outcomes)
        ]
        write_csv(tmp_path / f"{name}.csv", lines)
    files = [str(tmp_path / "base.csv"), str(tmp_path / "new.csv")]
    average = gate_files(files, Asked("base", 12.0))
    lost, same = Flips(0, 40, 80, 80), Flips(0, 0, 120, 80)
    evidence = average.judgements[0][1].evidence
    assert evidence is not None
    assert evidence.p_supported == min(1.0, 2 * AverageDifference((lost, same)).p_above(-12))
    each = gate_files(files, Asked("base", 12.0, ("sums", "products")))
    assert [judgement.verdict for _, judgement in each.judgements] == ["refuted", "supported"]
    assert each.verdict == "refuted"
    assert each.headline == "refuted: of 2 claims, 1 supported, 1 refuted"
    assert "| refuted | new no worse than base on sums by 12 | -20.0 |" in gate_markdown(each)


def test_all_systems_are_judged_on_what_all_answered(files: Path) -> None:
    gate = gate_files([str(files / "same.csv"), str(files / "few.csv")], Asked(str(files / "base.csv"), 3.0))
    found = {judgement.claim.first: judgement.evidence for _, judgement in gate.judgements}
    assert {name: evidence.n for name, evidence in found.items() if evidence} == {"same": 4, "few": 4}
    assert gate.remarks[0].startswith("not judged, `sums`: 196 in `base` alone: `q5`")


def test_systems_measured_otherwise_are_judged_all_the_same(files: Path) -> None:
    """What a file says of its harness decides what is on one board; a gate was told what to compare."""
    lines = [
        {"system": "new", "benchmark": "sums", "item": f"q{number}", "correct": outcome, "text": f"{number}?"}
        for number, outcome in enumerate(BASE, start=1)
    ]
    write_csv(files / "new.csv", lines)
    assert gate_files([str(files / "new.csv")], Asked(str(files / "base.csv"), 3.0)).verdict == "supported"


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("bas", "no file, and no system of the files; these are `base`, `same`; did you mean `base`?"),
        ("sums", "no file, and no system of the files"),
    ],
)
def test_a_base_that_is_not_there_is_said(files: Path, base: str, message: str) -> None:
    with pytest.raises(UserError) as told:
        gate_files([str(files / "base.csv"), str(files / "same.csv")], Asked(base, 1.0))
    assert message in str(told.value)


def test_a_base_alone_is_no_comparison(files: Path) -> None:
    with pytest.raises(UserError, match="`base` alone is no comparison"):
        gate_files([str(files / "base.csv")], Asked("base", 1.0))


def test_files_that_share_nothing_are_refused(files: Path) -> None:
    other = table(files / "other.csv", "11", benchmark="products")
    with pytest.raises(
        DataError, match="the files share no item that all systems answered: not judged: `sums`"
    ):
        gate_files([str(other)], Asked(str(files / "base.csv"), 1.0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("base", None, ()), "--no-worse-than BASE and --by POINTS belong together"),
        ((None, 1.0, ()), "--no-worse-than BASE and --by POINTS belong together"),
        ((None, None, ("sums",)), "--on says where --no-worse-than is judged"),
        (("base", 0.0, ()), "--by 0: allowed are points of accuracy above 0 and up to 100"),
        (("base", float("nan"), ()), "--by nan: allowed are points"),
    ],
)
def test_what_is_asked_wrongly_is_said(
    arguments: tuple[str | None, float | None, tuple[str, ...]], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        asked_of(*arguments)


def test_the_command_says_what_belongs_to_files_and_what_to_recipes(files: Path) -> None:
    recipe = ROOT / "recipes" / "quickstart.yaml"
    for words, message in (
        (["base.csv"], "files make no claims; say what is asked"),
        (["same.csv", "--no-worse-than", "base.csv", "--by", "1", "--arm", "sft"], "--arm is of a recipe"),
        (["same.csv", "--no-worse-than", "base.csv", "--by", "1", "--on", "sum"], "did you mean `sums`?"),
        ([recipe, "--metric", "acc"], "--metric is of result files"),
        ([recipe], "quickstart has no claims; add `claims:` to it"),
        (["quickstart"], "quickstart has no claims; add `claims:` to it"),
        (["mine", "--no-worse-than", "base.csv", "--by", "1"], "mine: there is no such file, and no recipe"),
        ([recipe, "--arm", "sft"], "--arm says of which arm --no-worse-than is asked"),
        ([recipe, "--no-worse-than", "bse", "--by", "1"], "--no-worse-than bse: no arm of quickstart"),
    ):
        found = lrbench("gate", *words, "--runs", files / "runs", cwd=files)
        assert found.returncode == 2, found.stdout
        assert message in found.stderr
        assert len(found.stderr.splitlines()) == 1


def test_a_summary_that_cannot_be_written_is_one_message(files: Path) -> None:
    found = lrbench(
        "gate", "same.csv", "--no-worse-than", "base.csv", "--by", "3", "--summary", "no/where.md", cwd=files
    )
    assert found.returncode == 1
    assert "cannot use" in found.stderr
    assert "Traceback" not in found.stderr
