"""Adapters as registered models: files, card and signature, once per arm."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from lrbench.errors import RunError
from lrbench.results.ledger import Ledger
from lrbench.results.mlflow.place import default_tracking_uri
from lrbench.results.mlflow.registry import register_adapter

pytestmark = pytest.mark.usefixtures("empty_place", "quick_stores")


@pytest.fixture(autouse=True)
def _own_store(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def folder(tmp_path):
    """An adapter as `export` writes it."""
    place = tmp_path / "adapter"
    place.mkdir()
    (place / "adapter_config.json").write_text(json.dumps({"r": 8}))
    (place / "adapter_model.safetensors").write_bytes(b"weights")
    (place / "README.md").write_text("---\nlicense: mit\n---\n\n# A card\n")
    return place


@pytest.mark.slow
def test_an_adapter_is_registered_once_with_card_and_signature(tmp_path, folder, arm_record, score_record):
    from mlflow.tracking import MlflowClient

    runs = tmp_path / "runs"
    arms = [arm_record(seed=seed, recipe="v1.5") for seed in (0, 1)]
    for arm in arms:
        Ledger(runs / "ledger").append([arm, score_record(recipe="v1.5", seed=arm.seed)])
    first, again, other = (register_adapter(runs, arm, folder) for arm in (arms[0], arms[0], arms[1]))
    assert (first.name, first.version, first.new) == ("v1_5-lightr", "1", True)
    assert (again.version, again.new) == ("1", False)
    assert (other.version, other.new) == ("2", True)
    assert str(first).startswith("The adapter is registered as v1_5-lightr, version 1, in MLflow at sqlite:")

    client = MlflowClient(tracking_uri=default_tracking_uri(runs))
    version = client.get_model_version("v1_5-lightr", "1")
    assert version.description == "# A card\n"
    assert version.tags["lrbench.arm_id"] == "v1.5-lightr-0"
    assert client.get_run(version.run_id).data.tags["lrbench.arm_id"] == "v1.5-lightr-0"
    place = Path(version.source.removeprefix("file://"))
    kept = {path.name: path.read_bytes() for path in place.iterdir()}
    assert kept["adapter_model.safetensors"] == b"weights"
    assert set(kept) == {"adapter_config.json", "adapter_model.safetensors", "README.md", "MLmodel"}
    described = yaml.safe_load(kept["MLmodel"])
    assert json.loads(described["signature"]["inputs"])[0]["name"] == "problem"
    assert list(described["flavors"]) == ["lrbench"]


@pytest.mark.slow
@pytest.mark.parametrize("step", ["log_model_artifacts", "create_model_version"])
def test_a_registration_that_failed_is_taken_up_where_it_ended(
    tmp_path, folder, arm_record, score_record, monkeypatch, step
):
    from mlflow.tracking import MlflowClient

    Ledger(tmp_path / "ledger").append([arm_record(), score_record()])
    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, step, lambda *_, **__: 1 / 0)
        with pytest.raises(RunError, match="division by zero"):
            register_adapter(tmp_path, arm_record(), folder)
    assert register_adapter(tmp_path, arm_record(), folder).new

    client = MlflowClient(tracking_uri=default_tracking_uri(tmp_path))
    experiment = client.get_experiment_by_name("lrbench").experiment_id
    (model,) = client.search_logged_models([experiment])
    assert str(model.status) == "READY"
    (version,) = client.search_model_versions("name = 'quickstart-lightr'")
    place = Path(version.source.removeprefix("file://"))
    assert place.parent.name == model.model_id
    assert (place / "adapter_model.safetensors").read_bytes() == b"weights"


def test_a_store_that_cannot_be_used_is_one_message(tmp_path, folder, arm_record, score_record):
    Ledger(tmp_path / "ledger").append([arm_record(), score_record()])
    (tmp_path / "mlflow.db").mkdir()
    with pytest.raises(RunError, match="could not be brought up to date"):
        register_adapter(tmp_path, arm_record(), folder)
