"""Signals at random moments of a few commands."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.conftest import HANDFUL


@pytest.mark.slow
def test_a_killed_command_that_is_run_again_leaves_what_an_undisturbed_one_does(
    tried: dict[str, Any],
) -> None:
    # A signal may come after the end of a command: then it is no kill.
    assert HANDFUL["kills"] // 2 <= tried["kills"]["tries"] <= HANDFUL["kills"]
    assert tried["kills"]["findings"] == []
