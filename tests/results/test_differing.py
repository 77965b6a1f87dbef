"""What differs between two results: as declared, as made, in costs, in scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrbench.pipeline.exporting.naming import find_result
from lrbench.results.declarations import whole_command
from lrbench.results.details import choice_text, declared_of, details_of
from lrbench.results.differing import difference
from lrbench.results.inspection import Inspector
from lrbench.results.ledger import Ledger
from lrbench.results.microscope import open_microscope
from lrbench.results.records import RecipeRecord
from lrbench.results.selection import ChosenPoint, Selection
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
    twice = arm_record("lightr", seed=1)
    ledger.append([one, other, *score_records({"chain": 50}, arm="base")])
    contents = ledger.read()
    assert difference(one, other, contents).incomparable == "not measured: lightr"
    again = [
        score.model_copy(
            update={
                "protocol_hash": "e" * 64,
                "suite_protocol": {"chain": "e" * 64},
                "protocol": score.protocol | {"limit": 5},
                "arm_id": arm.arm_id,
            }
        )
        for arm in (other, twice)
        for score in score_records({"chain": 50}, arm="lightr")
    ]
    ledger.append([twice, *again, *score_records({"chain": 50}, arm="lightr", arm_id=twice.arm_id)])
    found = difference(one, other, ledger.read())
    assert found.scores == ()
    assert found.incomparable == "they were measured under different protocols"
    assert [line.what for line in found.protocols] == ["protocol", "limit"]
    (apart,) = details_of(twice, ledger.read(), tmp_path).protocols.values()
    assert [(each.field, each.first, each.second) for each in apart] == [("limit", "100", "5")]


def test_the_point_that_was_chosen_and_on_what_is_said(tmp_path, arm_record) -> None:
    ledger = Ledger(tmp_path / "ledger")
    low, high = {"training.learning_rate": 0.1}, {"training.learning_rate": 0.2}
    arms = [
        arm_record("lightr", arm_id=name, point=point) for name, point in (("a", low), ("b", high), ("c", {}))
    ]
    chosen = ChosenPoint(arm="lightr", point=high, points=2, tied=1)
    selection = Selection(protocol="f" * 64, problems=60, chosen=(chosen,))
    declared = RecipeRecord(
        recipe="quickstart", recipe_hash="a" * 64, recipe_yaml="", arm_ids=("a", "b", "c"), claims=(),
        selection=selection, command="lrbench run 'my r.yaml' seed=1",
        recorded_at="2026-11-20T10:00:00+00:00",
    )  # fmt: skip
    ledger.append([*arms, declared])
    contents = ledger.read()
    on = f"chosen on 60 validation problems ({chosen.reason})"
    assert [choice_text(arm, contents) for arm in arms] == [
        f"It is not at the point {on}: that is learning_rate=0.2.",
        f"It is at the point {on}.",
        f"It is at learning_rate=0.2, {on}.",
    ]
    assert difference(arms[0], arms[2], contents).chosen[1].startswith("It is at learning_rate")
    # Who copies the command finds the results that it made.
    command = details_of(arms[0], contents, tmp_path).command
    assert command == f"lrbench run 'my r.yaml' seed=1 --runs {tmp_path}"
    assert whole_command("lrbench run r.yaml", Path("runs")) == "lrbench run r.yaml"
    assert declared_of(arms[0])["amateur"] == "amateur"
    # As it is listed, the arm as it was chosen has no point.
    assert find_result("quickstart/lightr/0", arms).arm_id == "c"


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
    microscope = open_microscope(Inspector(quickstart_runs), arm)
    assert microscope is not None
    odd = microscope.summary_as_trained.share_odd
    assert found.measured["share_odd"] == float(f"{odd:.4g}") > 0
    assert found.measured["odd_steps"] == round((odd or 0.0) * found.measured["kept_steps"])
    shown = lrbench("show", "quickstart/lightr", "--runs", quickstart_runs)
    assert shown.returncode == 0, shown.stderr
    words = (
        arm.arm_id,
        "against sft",
        "divergence.beta",
        "tuned_tokens",
        "share_odd",
        "train",
        "made by: lrbench run",
    )
    for word in words:
        assert word in shown.stdout
    refused = lrbench("show", "quickstart/lihgtr", "--runs", quickstart_runs)
    assert refused.returncode != 0
    assert "RECIPE/ARM" in refused.stderr
    assert "Traceback" not in refused.stderr
