"""Hostile bundles."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.conftest import HANDFUL


@pytest.mark.slow
def test_a_hostile_bundle_is_refused_and_writes_nothing(tried: dict[str, Any]) -> None:
    assert tried["bundles"]["tries"] == HANDFUL["bundles"]
    assert tried["bundles"]["findings"] == []
