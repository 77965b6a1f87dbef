"""A runs folder without any run: a ledger and a store whose every text is what a test says."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lrbench.evaluation.graded_items import write_item_rows
from lrbench.recipe.schema import Divergence
from lrbench.results.ledger import Ledger
from lrbench.results.records import ArmRecord, Costs, ScoreRecord, Traces, items_hash
from lrbench.sampling.rollouts import Rollout, write_rollouts
from lrbench.sampling.samples import ROLLOUTS_FILE, STEPS_FILE
from lrbench.sampling.scores import Scores, write_scores
from lrbench.sampling.token_texts import TOKENS_FILE, write_token_texts
from lrbench.store.artifact import Artifact
from lrbench.store.keys import stable_hash, stage_key
from lrbench.store.store import Store

ALPHA_MIN = 0.05
DIVERGENCE = Divergence(alpha=0.2, beta=0.4, alpha_min=ALPHA_MIN)
BENCHMARKS = ("chain", "vary")

# What must be shown as text wherever it comes from, and never act.
SCRIPT = "<script>window.acted = 1</script>"
HANDLER = "</style></title><img src=x onerror='window.acted = 1'>"
ANSI = "\x1b[31mred\x1b[0m\x07"
REVERSED = "\u202etxt.exe\u2066"
MARKDOWN = "**bold** [link](javascript:window.acted=1) `code` :material/warning: :red[x]"
LATEX = "$\\frac{1}{2}$ \\(x\\) $$\\href{javascript:window.acted=1}{y}$$"
MARKS = "e" + "\u0301" * 40
HOSTILE = (SCRIPT, HANDLER, ANSI, REVERSED, MARKDOWN, LATEX, MARKS, "a\x00b", "\u2028line")
MEGABYTE = "A" * 1_000_000

PLAIN = ("First", " 7", "*", "6", "=", "42", "\n", " ", "\t", ".", "<|im_end|>")


def write_runs(
    runs: Path,
    tokens: tuple[str, ...] = PLAIN,
    names: str = "lightr",
    rollouts: int = 3,
    arms: tuple[str, ...] = ("base", "lightr"),
    seeds: tuple[int, ...] = (0,),
    written: str = "",
) -> list[ArmRecord]:
    """Write the folder: every token of the vocabulary is written once per rollout, `names` are everywhere.

    The first of `arms` is the untrained expert, the others are like `lightr`; recipes end with `written`.
    """
    records: list[ArmRecord | ScoreRecord] = []
    for seed in seeds:
        for arm in arms:
            stages = (
                {}
                if arm in (arms[0], "base")
                else _stages(Store(runs / "store"), tokens, names, rollouts, seed)
            )
            record = _arm(arm if names == "lightr" else f"{arm} {names}", names, seed, stages, written)
            records += [record, *_scores(runs, record, names)]
    Ledger(runs / "ledger").append(records)
    return [record for record in records if isinstance(record, ArmRecord)]


def _stages(store: Store, tokens: tuple[str, ...], names: str, count: int, seed: int) -> dict[str, str]:
    texts = dict(enumerate(tokens))
    written = [
        Rollout(
            f"problem-{place} {names}", 0, (0, len(tokens) - 1), tuple(np.roll(range(len(tokens)), place))
        )
        for place in range(count)
    ]
    scores = _made_up_scores(written, len(tokens), seed)
    weights = {"weights": f"files:{stable_hash('weights')}", "dtype": "float32"}
    first = {"expert": weights, "texts": stable_hash(names), "seed": seed}
    sampled = _artifact(
        store, "rollouts", first, {}, {"part-00000.parquet": partial(write_rollouts, rollouts=written)}
    )
    scored = _artifact(
        store,
        "scores",
        {"alpha_min": ALPHA_MIN, "expert": weights},
        {"rollouts": sampled.key},
        {
            "part-00000.parquet": partial(write_scores, scores=scores),
            TOKENS_FILE: partial(write_token_texts, texts=texts),
        },
    )
    selected = _artifact(
        store,
        "samples",
        {"selector": "kl", "target": "contrast", "alpha": 0.2, "beta": 0.4},
        {"rollouts": sampled.key, "scores": scored.key},
        {
            ROLLOUTS_FILE: partial(write_rollouts, rollouts=written),
            # No page reads them: scores say the same.
            STEPS_FILE: partial(Path.write_bytes, data=b"made up"),
        },
    )
    trained = _artifact(
        store,
        "train",
        {"expert": weights, "note": names[:1000]},
        {"samples": selected.key},
        {"curves.json": partial(Path.write_text, data="{}")},
    )
    return {artifact.stage: artifact.key for artifact in (sampled, scored, selected, trained)}


def _artifact(
    store: Store, stage: str, identity: dict[str, Any], inputs: dict[str, str], files: dict[str, Any]
) -> Artifact:
    key = stage_key(stage, 1, identity, inputs)
    with store.lock(stage, key):
        found = store.find(stage, key)
        if found is not None:
            return found
        draft = store.draft(stage, 1, key, identity, inputs)
        for name, write in files.items():
            draft.commit(name, write, 0.5)
        return draft.finish({"files": len(files)}, environment={"python": "3.11"})


def _made_up_scores(rollouts: list[Rollout], vocabulary: int, seed: int) -> Scores:
    random = np.random.default_rng(seed)
    steps = [(place, step) for place, rollout in enumerate(rollouts) for step in range(rollout.steps)]
    models = random.dirichlet(np.full(vocabulary, 0.4), (len(steps), 2)) + 1e-9
    expert, amateur = np.log(models[:, 0]), np.log(models[:, 1])
    own = np.array([token for rollout in rollouts for token in rollout.completion_ids])[:, None]
    stored = expert >= expert.max(axis=1, keepdims=True) + np.log(ALPHA_MIN)
    return Scores(
        rollout=np.array([place for place, _ in steps], dtype=np.int32),
        step=np.array([step for _, step in steps], dtype=np.int32),
        kl=np.maximum(0, (models[:, 0] * (expert - amateur)).sum(1)).astype(np.float32),
        entropy_expert=(-models[:, 0] * expert).sum(1).astype(np.float32),
        entropy_amateur=(-models[:, 1] * amateur).sum(1).astype(np.float32),
        top1_expert=expert.argmax(1).astype(np.int32),
        top1_amateur=amateur.argmax(1).astype(np.int32),
        offsets=np.concatenate([[0], stored.sum(1).cumsum()]).astype(np.int64),
        support_ids=np.nonzero(stored)[1].astype(np.int32),
        support_log_p_expert=expert[stored].astype(np.float32),
        support_log_p_amateur=amateur[stored].astype(np.float32),
        kl_reverse=np.maximum(0, (models[:, 1] * (amateur - expert)).sum(1)).astype(np.float32),
        top1_log_p_amateur=amateur.max(1).astype(np.float32),
        own_log_p_expert=np.take_along_axis(expert, own, 1)[:, 0].astype(np.float32),
        own_log_p_amateur=np.take_along_axis(amateur, own, 1)[:, 0].astype(np.float32),
    )


def _arm(arm: str, names: str, seed: int, stages: dict[str, str], written: str) -> ArmRecord:
    made = bool(stages)
    curves = {
        "loss": [(update, 1.0 / (update + 1 + seed)) for update in range(30)],
        "learning_rate": [(update, 1e-3 * (30 - update)) for update in range(30)],
        "gradient_norm": [(update, float("nan") if update == 7 else 0.1) for update in range(30)],
        "held_out_perplexity": [(update, 2.0 - update / 30) for update in range(0, 30, 10)],
    }
    return ArmRecord(
        arm_id=f"{stable_hash([arm, seed])[:16]}",
        recipe=names[:5000],
        recipe_hash=stable_hash([arm, seed]),
        recipe_yaml=f"name: {json.dumps(names)}\nseed: {seed}\n{written}",
        arm=arm[:5000],
        seed=seed if made else None,
        expert=names[:5000],
        amateur=names[:5000] if made else None,
        settings={}
        if not made
        else {
            "source": "greedy",
            "selector": "kl",
            "target": "contrast",
            "divergence": DIVERGENCE.model_dump(mode="json"),
        },
        costs=Costs(tuned_tokens=20, sampled_problems=3, seconds={"train": 2.0}) if made else Costs(),
        curves=curves if made else {},
        stages=stages,
        environment={"python": "3.11.2", "note": names[:5000]},
        recorded_at=f"2026-11-20T10:0{seed}:00+00:00",
    )


def _item(identifier: str, names: str, arm: str, right: bool) -> dict[str, Any]:
    """A graded item; the completion of the last one is as long as `names`."""
    longest = len(names) if identifier.endswith("-99") else 1000
    return {
        "id": identifier,
        "problem": f"What is 6 * 7? {names[:1000]}",
        "completion": f"{arm[:20]} says {names[:longest]} so \\boxed{{{42 if right else 41}}}",
        "gold": "42",
        "prediction": names[:1000] if not right else "42",
        "paper": right,
        "exact": right,
        "reason": "correct" if right else "not equivalent",
        "tokens": 12,
        "truncated": not right and identifier.endswith("8"),
    }


def _traces(outcomes: str) -> Traces:
    """Of answers of 12 tokens: the later an item, the less likely its answer."""
    n = len(outcomes)
    return Traces(
        nll=(tuple(0.1 * place for place in range(n)),),
        scored=((12,) * n,),
        tokens=((12,) * n,),
        first_right=(tuple(6 if outcome == "1" else None for outcome in outcomes),),
        truncated=("0" * n,),
    )


def _scores(runs: Path, arm: ArmRecord, names: str) -> list[ScoreRecord]:
    benchmarks = BENCHMARKS if names == "lightr" else (f"chain {names[:100]}", "vary")
    hashes = {benchmark: stable_hash(benchmark) for benchmark in benchmarks}
    records = []
    for place, benchmark in enumerate(benchmarks):
        right = 30 if not arm.stages else 60 + place + 5 * (arm.seed or 0)
        outcomes = "1" * right + "0" * (100 - right)
        identity = {"arm": arm.arm_id, "benchmark": benchmark}
        items = [_item(f"{place}-{number}", names, arm.arm, outcomes[number] == "1") for number in range(100)]
        artifact = _artifact(
            Store(runs / "store"),
            "evaluate",
            identity,
            {},
            {"part-00000.jsonl": partial(write_item_rows, rows=items)},
        )
        records.append(
            ScoreRecord(
                arm_id=arm.arm_id,
                recipe=arm.recipe,
                arm=arm.arm,
                seed=arm.seed,
                expert=arm.expert,
                expert_weights="files:made-up",
                suite="made-up",
                benchmark=benchmark,
                protocol={"task": benchmark, "data": stable_hash(["data", benchmark]), "limit": 100},
                protocol_hash=hashes[benchmark],
                suite_protocol=hashes,
                items_hash=items_hash([item["id"] for item in items]),
                paper=outcomes,
                exact=outcomes,
                traces=_traces(outcomes),
                evaluation_key=artifact.key,
                seconds=1.0,
                recorded_at=arm.recorded_at,
            )
        )
    return records
