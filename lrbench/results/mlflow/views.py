"""How MLflow's pages open on our runs: which address, and what its table and charts show there.

MLflow keeps a view that somebody shares in a tag of the experiment, and an address names it. Addresses cannot
open rows that are nested, but what is not sorted by time is not nested: the charts have every arm at once.
"""

from __future__ import annotations

import json

from lrbench.results.rows import AVERAGE

SHARED = "mlflow.sharedViewState."
RUNS, CHARTS = "lrbench-runs", "lrbench-charts"
COLUMNS = (
    f"metrics.`accuracy/{AVERAGE}`",
    "metrics.`difference_to_baseline`",
    "metrics.`training/loss`",
    "metrics.`training/held_out_perplexity`",
    "metrics.`costs/tuned_tokens`",
    "metrics.`costs/seconds/total`",
    "tags.`lrbench.baseline`",
    "tags.`lrbench.uses_labels`",
    "attributes.`Models`",
    "attributes.`Dataset`",
)
_TABLE = {"selectedColumns": COLUMNS, "columnOrder": COLUMNS, "orderByAsc": False}


def _view(name: str, **more: str) -> str:
    """As MLflow keeps it; the moments, in milliseconds since 1970, are for its list of views."""
    return json.dumps({"name": name, "createdAt": 0, "updatedAt": 0, "state": json.dumps({**_TABLE, **more})})


# What each view is, by the tag that keeps it.
VIEWS = {
    f"{SHARED}{RUNS}": _view("lrbench: recipes and their arms", orderByKey="attributes.start_time"),
    f"{SHARED}{CHARTS}": _view(
        "lrbench: all arms by accuracy",
        searchFilter="tags.`lrbench.kind` != 'recipe'",
        orderByKey=f"metrics.`accuracy/{AVERAGE}`",
        runsHiddenMode="FIRST_20_RUNS",
    ),
}


def pages(server: str, experiment: str) -> tuple[str, str]:
    """The addresses of the table of recipes, in which arms are nested, and of the charts of all arms."""
    runs = f"{server}/#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey="
    return f"{runs}{RUNS}", f"{runs}{CHARTS}&compareRunsMode=CHART"
