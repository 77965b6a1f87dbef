"""Damaged files of a runs folder."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.conftest import HANDFUL


@pytest.mark.slow
def test_damage_is_made_good_or_said_and_never_served(tried: dict[str, Any]) -> None:
    assert tried["artifacts"]["tries"] == HANDFUL["artifacts"]
    assert tried["artifacts"]["findings"] == []
