"""All that MLflow says, in a form that can be compared."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path


def contents_of(uri):
    """Every run of ours at `uri`, but for what MLflow makes up itself: run ids and places."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("lrbench")
    found = client.search_runs([experiment.experiment_id], max_results=1000)
    names = {run.info.run_id: run.info.run_name for run in found}
    contents = [_content(client, run, names) for run in found]
    return sorted(contents, key=lambda run: (run["name"], json.dumps(run["tags"], sort_keys=True)))


def _content(client, run, names):
    tags = dict(run.data.tags)
    parent = tags.pop("mlflow.parentRunId", None)
    return {
        "name": run.info.run_name,
        "parent": names.get(parent),
        "status": run.info.status,
        "start": run.info.start_time,
        "end": run.info.end_time,
        "tags": tags,
        "params": dict(run.data.params),
        "inputs": sorted(
            [*map(str, vars(found.dataset).values()), *(tag.value for tag in found.tags)]
            for found in run.inputs.dataset_inputs
        ),
        "metrics": {
            name: sorted(
                [m.step, m.value, m.timestamp] for m in client.get_metric_history(run.info.run_id, name)
            )
            for name in run.data.metrics
        },
        "files": _files(client, run.info.run_id),
        "models": [_model(client, model) for model in _models(client, run)],
    }


def _models(client, run):
    return client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")


def _model(client, model):
    files = client.list_logged_model_artifacts(model.model_id)
    return {
        "name": model.name,
        "status": str(model.status),
        "tags": dict(model.tags),
        "params": dict(model.params),
        "files": [file.path for file in files],
    }


def _files(client, run_id):
    with tempfile.TemporaryDirectory() as folder:
        client.download_artifacts(run_id, "", folder)
        paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes().hex() for path in paths}
