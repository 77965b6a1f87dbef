"""Signals at random moments of a few commands."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.faults.kills import COMMANDS_BY_NAME, same_file, wrong_again
from experiments.faults.process import Ended
from tests.faults.conftest import HANDFUL

REFUSED = "out/model is not empty, and nothing in it is overwritten; name a new folder\n"
BUDGETS = b"budgets differ in tuned tokens (204 against 512)%s; matched in updates, sampled problems%s"


def ended(code: int, errors: str = "") -> Ended:
    return Ended(code, "", errors, 1.0, 1.0, 0, 0, stuck=False)


def test_a_refusal_is_expected_exactly_where_the_target_was_whole() -> None:
    assert wrong_again(ended(2, REFUSED), kept=True) == ""
    assert wrong_again(ended(0), kept=False) == ""
    assert "exit code 2" in wrong_again(ended(2, REFUSED), kept=False)
    assert "exit code 0" in wrong_again(ended(0), kept=True)
    assert "another reason" in wrong_again(ended(2, "there is no such result\n"), kept=True)


def test_tables_of_a_study_may_differ_in_how_long_arms_trained_and_in_nothing_else() -> None:
    study = COMMANDS_BY_NAME["study"]
    whole = BUDGETS % (b", training seconds (1 against 2), seconds in all (2 against 3)", b"")
    other_times = BUDGETS % (b", training seconds (0 against 1)", b", seconds in all")
    assert same_file(study, "table.md", other_times, whole)
    assert not same_file(study, "table.md", whole.replace(b"tuned tokens", b"updates"), whole)
    assert not same_file(study, "table.md", whole[:-9], whole)
    assert not same_file(COMMANDS_BY_NAME["tables"], "table.md", other_times, whole)


@pytest.mark.slow
def test_a_killed_command_that_is_run_again_leaves_what_an_undisturbed_one_does(
    tried: dict[str, Any],
) -> None:
    # A signal may come after the end of a command: then it is no kill.
    assert HANDFUL["kills"] // 2 <= tried["kills"]["tries"] <= HANDFUL["kills"]
    assert tried["kills"]["findings"] == []


@pytest.mark.slow
def test_dpo_that_is_killed_in_the_middle_ends_with_the_same_bytes(tried: dict[str, Any]) -> None:
    assert tried["trainings"]["groups"] == {"dpo": 1}
    assert tried["trainings"]["findings"] == []
