"""Cramped and odd places."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.conftest import HANDFUL


@pytest.mark.slow
def test_a_cramped_place_loses_nothing_and_is_told(tried: dict[str, Any]) -> None:
    assert tried["places"]["tries"] == HANDFUL["places"]
    assert tried["places"]["findings"] == []
