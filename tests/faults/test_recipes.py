"""Fuzzed recipes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.conftest import HANDFUL


@pytest.mark.slow
def test_a_recipe_of_any_kind_is_answered_with_a_place_and_never_with_a_crash(tried: dict[str, Any]) -> None:
    assert tried["recipes"]["tries"] == HANDFUL["recipes"]
    assert tried["recipes"]["findings"] == []
