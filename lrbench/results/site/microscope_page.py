"""What an arm learnt from: some of its rollouts token by token, with both models' words at every step."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from markupsafe import Markup

from lrbench.errors import StoreError
from lrbench.results.board import Board
from lrbench.results.inspection import Inspector
from lrbench.results.ledger import LedgerContents
from lrbench.results.microscope import Microscope, RolloutView, open_microscope
from lrbench.results.records import ArmRecord
from lrbench.results.site.pages import ID_LENGTH, Page, arm_file
from lrbench.results.variations import called
from lrbench.results.web.tokens import token_name, token_text

# Of an arm: the rollouts of highest mean divergence, and some from the middle.
HIGHEST, FROM_THE_MIDDLE = 4, 4
MOST_CANDIDATES = 8
# The colour is full at so many nats, as on the dashboard.
FULL_NATS = 4.0


def microscope_pages(boards: Sequence[Board], contents: LedgerContents, inspector: Inspector) -> list[Page]:
    """A page for the first run of every arm that an amateur had a part in, where its rollouts can be read."""
    shown = {row.arm_id for board in boards for row in board.rows}
    first: dict[tuple[str, ...], ArmRecord] = {}
    for arm in contents.arms:
        if arm.arm_id in shown and "scores" in arm.stages:
            first.setdefault((arm.recipe, arm.arm, json.dumps(arm.point, sort_keys=True)), arm)
    return [page for arm in first.values() if (page := _page(arm, inspector)) is not None]


def _page(arm: ArmRecord, inspector: Inspector) -> Page | None:
    try:
        microscope = open_microscope(inspector, arm)
    except StoreError:
        return None
    if microscope is None or not len(microscope.rollouts):
        return None
    views = [(index, microscope.rollout(index, microscope.trained)) for index in _chosen(microscope)]
    rollouts = [_rollout(index, view, microscope) for index, view in views]
    steps = {str(place): rollout.pop("steps") for place, rollout in enumerate(rollouts)}
    name = called(arm.arm, arm.point, "")
    told = {
        "name": name,
        "recipe": arm.recipe,
        "trained": microscope.trained,
        "results": arm_file(arm.arm_id),
        "count": len(microscope.rollouts),
        "rollouts": rollouts,
        # Nothing in it can end the element that it stands in.
        "steps": Markup(json.dumps(steps).replace("<", "\\u003c")),
        "full": FULL_NATS,
    }
    file = f"tokens-{arm.arm_id[:ID_LENGTH]}.html"
    return Page(file, f"{name}, recipe {arm.recipe}", "microscope.html.jinja", told, arm.arm_id)


def _chosen(microscope: Microscope) -> Iterator[int]:
    order = [int(index) for index in (-microscope.mean_kl).argsort(kind="stable")]
    middle = max(HIGHEST, len(order) // 2)
    yield from dict.fromkeys([*order[:HIGHEST], *order[middle : middle + FROM_THE_MIDDLE]])


def _rollout(index: int, view: RolloutView, microscope: Microscope) -> dict[str, Any]:
    texts = microscope.texts
    steps = [view.step(place) for place in range(len(view.scores.kl))]
    prompt = "".join(texts.get(token, "") for token in view.rollout.prompt_ids)
    return {
        "problem": view.rollout.problem_id,
        "mean": float(microscope.mean_kl[index]),
        "kept": int(view.kept.sum()),
        "prompt": prompt,
        "tokens": [
            {
                "text": token_text(texts.get(step.written, "?")),
                "kl": step.kl,
                "heat": round(min(1.0, (step.kl / FULL_NATS) ** 0.5), 3),
                "kept": step.kept,
            }
            for step in steps
        ],
        "steps": [
            {
                "kl": round(step.kl, 3),
                "why": view.reason(place),
                "candidates": [
                    [
                        token_name(texts.get(candidate.token, "?")),
                        _rounded(candidate.log_p_expert),
                        _rounded(candidate.log_p_amateur),
                        _rounded(candidate.contrast),
                        candidate.plausible,
                        round(candidate.weight, 3),
                        candidate.token == step.written,
                    ]
                    for candidate in step.candidates[:MOST_CANDIDATES]
                ],
            }
            for place, step in enumerate(steps)
        ],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
