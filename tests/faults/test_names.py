"""Odd names."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.conftest import HANDFUL


@pytest.mark.slow
def test_whatever_has_an_odd_name_is_found_and_written_under_it(tried: dict[str, Any]) -> None:
    assert tried["names"]["tries"] == HANDFUL["names"]
    assert tried["names"]["findings"] == []
