"""Hostile problem files."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.conftest import HANDFUL


@pytest.mark.slow
def test_a_hostile_problem_file_is_refused_with_its_place(tried: dict[str, Any]) -> None:
    assert tried["data"]["tries"] == HANDFUL["data"]
    assert tried["data"]["findings"] == []
