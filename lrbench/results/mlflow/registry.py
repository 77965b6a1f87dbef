"""Adapters as models in MLflow's registry, on request: files, card and signature, and nothing that runs.

MLflow can keep models as code or pickles, which would run when they are loaded. What is registered here
is an adapter as PEFT reads it, with a description of what goes in and out; no flavour of MLflow loads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrbench.errors import RunError
from lrbench.recipe.secrets import without_secrets
from lrbench.results.mlflow.logged_models import MODEL_TYPE, describe, model_name, models_of
from lrbench.results.mlflow.mirror import EXPERIMENT, explanation, mirror
from lrbench.results.mlflow.place import default_tracking_uri
from lrbench.results.mlflow.run_content import shorten
from lrbench.results.mlflow.tracking_store import LOCK, connect
from lrbench.results.records import ArmRecord
from lrbench.store.locks import hold

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

CARD = "README.md"
LONGEST_DESCRIPTION = 5000


@dataclass(frozen=True)
class Registered:
    """A version of a registered model; `new` unless it was there already."""

    name: str
    version: str
    tracking_uri: str
    new: bool

    def __str__(self) -> str:
        state = "is registered as" if self.new else "was registered already as"
        return f"The adapter {state} {self.name}, version {self.version}, in MLflow at {self.tracking_uri}."


def register_adapter(runs: Path, arm: ArmRecord, folder: Path) -> Registered:
    """Register the adapter in `folder`, which holds its card in README.md, as a version of the arm's model.

    The model is called RECIPE-ARM; seeds and points of a sweep are its versions. An arm is registered once.
    The folder gets MLflow's own description, MLmodel, beside the adapter.

    Raises:
        RunError: MLflow cannot be written; the message says why.
    """
    uri = default_tracking_uri(runs)
    mirror(runs, uri)
    try:
        with hold(runs / "ledger" / LOCK):
            return _register(connect(uri), without_secrets(uri), arm, folder)
    except Exception as error:
        raise RunError(explanation(uri, error)) from error


def _register(client: MlflowClient, shown: str, arm: ArmRecord, folder: Path) -> Registered:
    name = model_name(arm)
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, tags={"lrbench.recipe": arm.recipe, "lrbench.arm": arm.arm})
    for version in client.search_model_versions(f"name = '{name}'"):
        if version.tags.get("lrbench.arm_id") == arm.arm_id:
            return Registered(name, str(version.version), shown, new=False)
    run = _run_of(client, arm)
    tags = {
        name: without_secrets(value)
        for name, value in run.data.tags.items()
        if name.startswith("lrbench.") and value
    }
    # That of the run, or of a registration that failed: its files are written once more.
    found = models_of(client, run.info.experiment_id, run.info.run_id)
    model = (
        found[0]
        if found
        else client.create_logged_model(
            run.info.experiment_id, name, source_run_id=run.info.run_id, tags=tags, model_type=MODEL_TYPE
        )
    )
    describe(folder, arm, model.model_id, run.info.run_id)
    client.log_model_artifacts(model.model_id, str(folder))
    client.finalize_logged_model(model.model_id, "READY")
    version = client.create_model_version(
        name,
        # By its place: `models:/` would be looked up in a store of MLflow's own choice.
        source=model.artifact_location,
        run_id=run.info.run_id,
        tags=tags,
        description=shorten(_card(folder), LONGEST_DESCRIPTION),
        model_id=model.model_id,
    )
    return Registered(name, str(version.version), shown, new=True)


def _run_of(client: MlflowClient, arm: ArmRecord) -> Run:
    """The arm's run; the first where it was measured under several protocols."""
    experiment: Any = client.get_experiment_by_name(EXPERIMENT)
    found = client.search_runs([experiment.experiment_id], f"tags.`lrbench.arm_id` = '{arm.arm_id}'")
    if not found:
        raise RunError("the arm has no scores, and so no run")
    return found[-1]


def _card(folder: Path) -> str:
    """The model card without the fields that model hubs read above it."""
    text = (folder / CARD).read_text(encoding="utf-8")
    return text.split("---\n", 2)[-1].lstrip() if text.startswith("---\n") else text
