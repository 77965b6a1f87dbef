"""The tutorial and the how-tos on own data and gates are typed from first to last, on small sizes."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml

from tests.commands import SMALL, lrbench
from tests.documentation.pages import DOCS, blocks, in_sentences, typed

# Ends when it is told to; tests/dashboard starts it.
SERVER = "dashboard"
# A gate's answer is its exit code: supported, refuted, inconclusive.
ANSWERS = {"gate": {0, 3, 4}}


def type_all(page: str, folder: Path, runs: Path) -> dict[str, str]:
    """Write the files that a page names before their blocks, type its commands; what each of them printed."""
    text = (DOCS / page).read_text(encoding="utf-8")
    said: dict[str, str] = {}
    for block in blocks(DOCS / page):
        if block.language in ("json", "yaml", "text"):
            named = re.findall(r"`([a-z]+\.(?:jsonl|yaml|csv))`", text[: text.index(block.text)])
            (folder / named[-1]).write_text(block.text, encoding="utf-8")
            continue
        for line in typed(block) if block.text.startswith("$ ") else []:
            words = shlex.split(line)
            if words[0] == "cd":
                folder = folder / words[1]
                make_small(folder / "recipes" / "quickstart.yaml")
            elif words[1] != SERVER:
                assert words[0] == "lrbench"
                found = lrbench(*words[1:], cwd=folder, LRBENCH_RUNS=str(runs), LRBENCH_MLFLOW="off")
                assert found.returncode in ANSWERS.get(words[1], {0}), found.stderr
                said[line] = found.stdout
    return said


def make_small(recipe: Path) -> None:
    """Give a recipe the sizes of the shared quickstart."""
    content = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    for path, value in (setting.split("=") for setting in SMALL):
        section, field = path.split(".")
        content[section][field] = int(value)
    recipe.write_text(yaml.safe_dump(content), encoding="utf-8")


@pytest.mark.slow
def test_the_tutorial_does_what_it_says(quickstart_runs: Path, tmp_path: Path) -> None:
    runs = Path(shutil.copytree(quickstart_runs, tmp_path / "runs"))
    said = type_all("tutorial.md", tmp_path, runs)
    assert len(said) == 10
    assert "quickstart.yaml: valid" in said["lrbench check recipes/quickstart.yaml"]
    # The fixture ran it before.
    assert "Nothing to do: all 45 stages" in said["lrbench run recipes/quickstart.yaml"]
    (told,) = (code for code in in_sentences(DOCS / "tutorial.md") if code.startswith("36 stages"))
    assert told in said["lrbench plan mine.yaml"]
    assert "Claims" in said["lrbench run mine.yaml"]
    assert "divergence.beta" in said["lrbench diff quickstart/lightr stricter/lightr"]
    assert "of 2 claims" in said["lrbench gate mine.yaml"]
    assert (tmp_path / "work" / "site" / "index.html").exists()


@pytest.mark.slow
def test_the_gate_does_what_it_says(tmp_path: Path) -> None:
    said = type_all("gate.md", tmp_path, tmp_path / "runs")
    assert "tuned against base" in said["lrbench compare base.csv tuned.csv"]
    (gated,) = (text for line, text in said.items() if line.startswith("lrbench gate"))
    assert "inconclusive: of 1 claim, 1 not decided" in gated
    assert "items would decide it" in gated
    assert (tmp_path / "gate.md").read_text()


@pytest.mark.slow
def test_own_data_does_what_it_says(tmp_path: Path) -> None:
    said = type_all("own_data.md", tmp_path, tmp_path / "runs")
    assert "mine.yaml: valid" in said["lrbench check mine.yaml"]
    assert "base on sums (10 items)" in said["lrbench run mine.yaml"]
    # Something is seen, as the page shows it.
    assert "100.0 [72.2, 100.0]" in said["lrbench results --recipe mine"]
    assert "sums" in said["lrbench results --recipe mine"]
