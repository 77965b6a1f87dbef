"""What differs between two results: as declared, as made, in costs, in scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrbench.results.details import details_of
from lrbench.results.differing import difference
from lrbench.results.ledger import Ledger
from tests.commands import lrbench


@pytest.mark.slow
def test_two_arms_of_one_recipe_differ_in_what_makes_them(quickstart_runs: Path) -> None:
    contents = Ledger(quickstart_runs / "ledger").read()
    arms = {arm.arm: arm for arm in contents.arms}
    found = difference(arms["random"], arms["lightr"], contents)
    declared = {line.what: (line.first, line.second) for line in found.declared}
    assert declared["arm"] == ("random", "lightr")
    assert "expert" not in declared
    assert any(name.startswith("selector") for name in declared)
    made = {line.what for line in found.made}
    # Both learn from the same rollouts, by other samples; and the same machine made them.
    assert "stage train" in made
    assert "stage rollouts" not in made
    assert "commit" not in made
    benchmarks = [line.what for line in found.scores]
    assert benchmarks[0] == "average"
    assert len(benchmarks) == 8
    assert all(line.verdict for line in found.scores)


@pytest.mark.slow
def test_a_result_does_not_differ_from_itself(quickstart_runs: Path) -> None:
    contents = Ledger(quickstart_runs / "ledger").read()
    arm = contents.arms[0]
    found = difference(arm, arm, contents)
    assert (found.declared, found.made, found.costs) == ((), (), ())
    assert all(line.first == line.second for line in found.scores)


def test_scores_of_other_protocols_are_not_set_side_by_side(tmp_path, arm_record, score_records) -> None:
    ledger = Ledger(tmp_path / "ledger")
    one, other = arm_record("base"), arm_record("lightr")
    ledger.append([one, other, *score_records({"chain": 50}, arm="base")])
    contents = ledger.read()
    assert difference(one, other, contents).incomparable == "not measured: lightr"
    again = [
        score.model_copy(update={"protocol_hash": "e" * 64, "suite_protocol": {"chain": "e" * 64}})
        for score in score_records({"chain": 50}, arm="lightr")
    ]
    ledger.append(again)
    found = difference(one, other, ledger.read())
    assert found.scores == ()
    assert found.incomparable == "they were measured under different protocols"


@pytest.mark.slow
def test_the_command_says_it_in_tables(quickstart_runs: Path) -> None:
    said = lrbench("diff", "quickstart/sft", "quickstart/lightr", "--runs", quickstart_runs).stdout
    assert "second against first" in said
    assert "contrast" in said
    assert "not corrected for their number" in said
    wrong = lrbench("diff", "quickstart/sft", "quickstart/ligtr", "--runs", quickstart_runs)
    assert wrong.returncode == 2
    assert "did you mean `quickstart/lightr`? A result is named by" in wrong.stderr


@pytest.mark.slow
def test_everything_of_one_result_is_shown_with_its_verdicts_and_stages(quickstart_runs: Path) -> None:
    contents = Ledger(quickstart_runs / "ledger").read()
    arm = next(arm for arm in contents.arms if arm.arm == "lightr")
    found = details_of(arm, contents, quickstart_runs)
    (scored,) = found.scored
    assert scored.baseline == "sft"
    assert [line[0] for line in scored.lines][:2] == ["average", "multi_step"]
    assert all(verdict for _, _, verdict in scored.lines)
    assert {str(stage.state) for stage in found.stages} == {"there"}
    assert found.command.startswith("lrbench run")
    shown = lrbench("show", "quickstart/lightr", "--runs", quickstart_runs)
    assert shown.returncode == 0, shown.stderr
    words = (arm.arm_id, "against sft", "divergence.beta", "tuned_tokens", "train", "made by: lrbench run")
    for word in words:
        assert word in shown.stdout
    refused = lrbench("show", "quickstart/lihgtr", "--runs", quickstart_runs)
    assert refused.returncode != 0
    assert "RECIPE/ARM" in refused.stderr
    assert "Traceback" not in refused.stderr
