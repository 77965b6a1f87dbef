"""Adapters as MLflow's logged models: what each was made of, where its files are, and what it scored.

A logged model here describes an adapter and holds none of its files, which are in the store already;
`lrbench register` adds them. No flavour of MLflow loads it, so nothing runs.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lrbench.recipe.secrets import without_secrets
from lrbench.results.mlflow.run_content import ArmRun, safe_name
from lrbench.results.mlflow.times import TRAINING
from lrbench.results.records import ArmRecord

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.tracking import MlflowClient

MODEL_TYPE = "adapter"
FLAVOUR = "lrbench"


def model_name(arm: ArmRecord) -> str:
    """RECIPE-ARM, in which full stops are forbidden as well."""
    return safe_name(f"{arm.recipe}-{arm.arm}").replace(".", "_")


def log_model(client: MlflowClient, experiment: str, run_id: str, child: ArmRun) -> None:
    """Make the logged model of a trained arm, and say that it came out of its run."""
    from mlflow.entities import LoggedModelOutput

    if TRAINING not in child.arm.stages:
        return
    model = client.create_logged_model(
        experiment,
        model_name(child.arm),
        source_run_id=run_id,
        tags={name: value for name, value in child.tags.items() if name.startswith("lrbench.")},
        params=child.params,
        model_type=MODEL_TYPE,
    )
    with tempfile.TemporaryDirectory() as folder:
        describe(Path(folder), child.arm, model.model_id, run_id)
        client.log_model_artifacts(model.model_id, folder)
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, child.arm.costs.updates)])


def models_of(client: MlflowClient, experiment: str, run_id: str) -> list[LoggedModel]:
    """The logged models that came out of a run."""
    return list(client.search_logged_models([experiment], f"source_run_id = '{run_id}'"))


def describe(folder: Path, arm: ArmRecord, model_id: str, run_id: str) -> None:
    """Write MLmodel: the signature, and what kind of files these are."""
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    signature = ModelSignature(
        inputs=Schema([ColSpec(DataType.string, "problem")]),
        outputs=Schema([ColSpec(DataType.string, "completion")]),
    )
    facts = {
        "format": "PEFT LoRA adapter, safetensors",
        "expert": without_secrets(arm.expert),
        # Below the runs folder, wherever that is.
        "stored_at": f"store/{TRAINING}/{arm.stages.get(TRAINING, '')}",
    }
    model = Model(run_id=run_id, model_id=model_id, signature=signature, flavors={FLAVOUR: facts})
    model.save(str(folder / "MLmodel"))
