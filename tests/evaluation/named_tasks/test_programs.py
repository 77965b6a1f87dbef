"""Tasks that run what a model writes: refused, or judged in a sandbox by the metric that they name."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from lrbench.cli import app
from lrbench.embedded.assets import problems
from lrbench.errors import DataError, RecipeError
from lrbench.evaluation.graded_items import read_items
from lrbench.evaluation.named_tasks import code_eval
from lrbench.evaluation.named_tasks.code_eval import CodeEval
from lrbench.evaluation.named_tasks.items import task_items
from lrbench.evaluation.named_tasks.loading import named_tasks
from lrbench.evaluation.programs.running import LIMITS, missing_sandbox
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.recipe.loading import load_recipe
from lrbench.results.ledger import Ledger
from lrbench.store.store import Store
from lrbench.suites.declaration import TasksDeclaration
from tests.evaluation.named_tasks.folders import lay, mean, put

needs_sandbox = pytest.mark.skipif(
    missing_sandbox() is not None, reason=f"there is no sandbox for programs here: {missing_sandbox()}"
)

# As lm-eval's HumanEval has it, but that of what is written the last number alone is put into the program.
UTILS = """
import re

import evaluate as hf_evaluate

compute_ = hf_evaluate.load("code_eval")
test_cases = ["assert add(2, 3)==5"]
candidates = [["def add(a,b): return a*b"]]
tried, _ = compute_.compute(references=test_cases, predictions=candidates, k=[1])
assert tried == {"pass@1": 0.0}


def pass_at_k(references, predictions, k=None):
    return compute_.compute(references=references, predictions=predictions, k=k)[0]


def build_predictions(resps, docs):
    return [[doc["prompt"] + last_number(r) for r in resp] for resp, doc in zip(resps, docs)]


def last_number(text):
    return (re.findall("[0-9]+", text) or [""])[-1]
"""
RIGHT = "def answer():\n    return "
HARM = {
    "loops": "while True: pass\n",
    "wants too much": "much = bytearray(100 * 2**30)\n",
    "kills": "import os\nfor number in (os.getppid(), 0, 1, -1): os.kill(number, 9)\nassert False\n",
    "reads a secret": "import os\nassert os.environ['LRBENCH_SECRET']\n",
    "ends": "raise SystemExit\n",
}
PLAIN = 6
RECIPE = {
    "name": "programs",
    "pair": {"expert": {"model": "embedded/expert"}, "amateur": {"model": "embedded/amateur"}},
    "data": {"train": "embedded/multi_step", "problems": 8},
    "training": {"updates": 1, "rollouts_per_update": 2},
    "arms": ["base"],
    "evaluation": {
        "lm_eval": {"tasks": ["own_code"], "include_path": "tasks", "allow_code": True, "chat_template": True}
    },
}


def write_task(folder: Path, utils: str = UTILS) -> None:
    """Problems whose answers are put into programs, with some that do harm first."""
    folder.mkdir(parents=True)
    (folder / "utils.py").write_text(utils)
    asked = problems("one_step", "test")[: PLAIN + len(HARM)]
    rows = [
        {
            "question": row["problem"],
            "prompt": before + RIGHT,
            "test": f"\n\ndef check(candidate):\n    assert candidate() == {row['answer']}\n",
            "entry_point": "answer",
        }
        for row, before in zip(asked, [*[""] * PLAIN, *HARM.values()], strict=True)
    ]
    put(
        folder,
        "own_code",
        rows,
        unsafe_code=True,
        output_type="generate_until",
        doc_to_text="{{question}}",
        doc_to_target="{{test}}\ncheck({{entry_point}})",
        generation_kwargs={"until": ["Next"], "do_sample": False, "max_gen_toks": 64},
        num_fewshot=0,
        filter_list=[
            {"name": "create_test", "filter": [{"function": "custom", "filter_fn": "build_predictions"}]}
        ],
        metric_list=[mean("pass_at_k") | {"k": [1]}],
    )
    file = folder / "own_code.yaml"
    text = file.read_text()
    for function in ("pass_at_k", "build_predictions"):
        text = text.replace(f": {function}\n", f": !function utils.{function}\n")
    file.write_text(text)


@needs_sandbox
def test_what_a_model_writes_is_judged_in_a_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRBENCH_MLFLOW", "off")
    monkeypatch.setenv("LRBENCH_SECRET", "secret")
    write_task(tmp_path / "tasks")
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    recipe = load_recipe(tmp_path / "recipe.yaml")
    runs = tmp_path / "runs"
    assert not run_recipe(recipe, runs).failures
    (score,) = plan_recipe(recipe, runs).arms[0].scores
    artifact = Store(runs / "store").look(score.name, score.key)
    assert artifact is not None
    items = list(read_items(artifact))
    plain, harmful = items[:PLAIN], items[PLAIN:]
    gold = {row["problem"]: int(row["answer"]) for row in problems("one_step", "test")}
    for item in plain:
        written = int(item["prediction"].removeprefix(RIGHT))
        assert item["completion"].rpartition(str(written))[1]
        assert item["paper"] == item["exact"] == (written == gold[item["problem"]])
        assert item["measures"] == {"pass@1,create_test": float(item["paper"])}
        assert item["reason"] == ("correct" if item["paper"] else "not equivalent")
    assert {item["paper"] for item in plain} == {True, False}
    assert {what: item["reason"] for what, item in zip(HARM, harmful, strict=True)} == {
        "loops": "timed out",
        "wants too much": "out of memory",
        "kills": "not equivalent",
        "reads a secret": "not equivalent",
        "ends": "not equivalent",
    }
    assert not any(item["paper"] for item in harmful)
    assert artifact.statistics["measures"]["pass@1,create_test"] == sum(
        item["paper"] for item in plain
    ) / len(items)
    (recorded,) = Ledger(runs / "ledger").read().scores
    task = recorded.protocol["tasks"]["own_code"]
    assert task["metric"] == "pass@1,create_test"
    assert task["programs"].items() >= asdict(LIMITS).items()
    assert "python" in task["programs"]


@needs_sandbox
def test_lm_evals_own_tasks_of_programs_are_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HumanEval and MBPP as lm-eval has them, with problems of ours in the places of theirs."""
    import datasets
    from lm_eval.api.instance import Instance

    lay(
        tmp_path / "openai" / "openai_humaneval",
        "openai_humaneval",
        {
            "test": [
                {
                    "task_id": "HumanEval/0",
                    "prompt": 'def twice(number: int) -> int:\n    """Two times a number."""\n',
                    "canonical_solution": "    return 2 * number\n",
                    "test": "\n\ndef check(candidate):\n    assert candidate(4) == 8\n",
                    "entry_point": "twice",
                }
            ]
        },
    )
    tests = [f"assert twice({number}) == {2 * number}" for number in range(3)]
    lay(
        tmp_path / "google-research-datasets" / "mbpp",
        "full",
        {"test": [{"task_id": 11, "text": "Write a function that doubles.", "code": "", "test_list": tests}]},
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    declared = TasksDeclaration(tasks=("humaneval", "mbpp"), allow_code=True)
    answers = {
        "humaneval": ["    return 2 * number\n", "    return number\n"],
        "mbpp": ["def twice(number):\n    return 2 * number\n", "def twice(number):\n    return 0\n"],
    }
    for name, metric in (("humaneval", "pass@1,create_test"), ("mbpp", "pass_at_1,none")):
        (task,) = named_tasks(declared, name, fetch=False)
        assert task.facts["metric"] == metric
        for answer, share in zip(answers[name], (1.0, 0.0), strict=True):
            asked = Instance("generate_until", task.docs[0], ("", {}), idx=0, resps=[answer])
            assert task.judge(task.docs[0], [asked]).measures == {metric: share}


@needs_sandbox
def test_the_share_that_passes_is_estimated_over_problems() -> None:
    right, wrong = "x = 1", "x = 2"
    shares, results = CodeEval().compute(
        predictions=[[right, wrong], [right, right]], references=["assert x == 1"] * 2, k=[1, 2, 3]
    )
    assert shares == {"pass@1": 0.75, "pass@2": 1.0}
    assert [told["passed"] for _, told in results[0]] == [True, False]


@pytest.mark.parametrize("command", ["check", "plan"])
def test_programs_are_refused_with_their_place_unless_they_are_allowed_and_can_be_run(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = RECIPE | {"evaluation": {"lm_eval": {"tasks": ["arc_easy", "humaneval"]}}}
    file = tmp_path / "recipe.yaml"
    file.write_text(json.dumps(said))
    column = file.read_text().index('"humaneval"') + 1
    place = f"{file}:1:{column}: evaluation.lm_eval.tasks.1: "

    def told(*words: str) -> str:
        found = CliRunner().invoke(app, [command, str(file), *words, "--runs", str(tmp_path / "runs")])
        assert found.exit_code
        assert isinstance(found.exception, SystemExit | RecipeError)
        return " ".join(f"{found.output} {found.exception}".split())

    refused = told()
    assert place in refused
    assert (
        "`humaneval` runs programs that a model writes; `evaluation.lm_eval.allow_code: true` allows"
        in refused
    )
    monkeypatch.setattr(code_eval, "missing_sandbox", lambda: "the kernel gives none")
    assert (
        f"{place}`humaneval` runs programs that a model writes, and here is no sandbox for them: the "
        in told("evaluation.lm_eval.allow_code=true")
    )


def test_who_runs_programs_by_means_of_its_own_is_refused(tmp_path: Path) -> None:
    write_task(
        tmp_path / "tasks",
        UTILS.replace('hf_evaluate.load("code_eval")', "Own()").replace(
            "compute_ =", "class Own:\n    def compute(self, **_): return {'pass@1': 0.0}, {}\n\ncompute_ ="
        ),
    )
    declared = TasksDeclaration(tasks=("own_code",), include_path=str(tmp_path / "tasks"), allow_code=True)
    with pytest.raises(DataError, match="`own_code` runs what a model writes by means of its own"):
        task_items(declared, "own_code", None, None, False)
