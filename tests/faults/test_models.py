"""Hostile model folders."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.conftest import HANDFUL


@pytest.mark.slow
def test_a_hostile_model_folder_is_refused_or_used_as_it_is(tried: dict[str, Any]) -> None:
    assert tried["models"]["tries"] == HANDFUL["models"]
    assert tried["models"]["findings"] == []
