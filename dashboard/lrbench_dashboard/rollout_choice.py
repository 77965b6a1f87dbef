"""Choosing a rollout: by problem, one after the other, or the most divergent first."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from lrbench.results.microscope import Microscope, RolloutView
from lrbench.results.text import plain

DIVERGENT, SAMPLED = "divergent", "sampled"
ORDERS = {DIVERGENT: "Most divergent first", SAMPLED: "As sampled"}
LONGEST_PROBLEM = 90
LONGEST_TOKEN = 60


def rollouts_in(order: str, microscope: Microscope) -> dict[str, int]:
    """Token for the URL -> place among the rollouts, in the order asked for; only those that have steps."""
    places = (
        np.argsort(-microscope.mean_kl, kind="stable")
        if order == DIVERGENT
        else range(len(microscope.rollouts))
    )
    found: dict[str, int] = {}
    for place in map(int, places):
        rollout = microscope.rollouts[place]
        if rollout.steps:
            name = _url_token(rollout.problem_id, rollout.sample)
            found[name if name not in found else f"{name}@{place}"] = place
    return found


def labels(places: Mapping[str, int], microscope: Microscope) -> dict[str, str]:
    """Token -> what the reader chooses by: the problem's name, its text, its mean KL."""
    shared = _shared_ends([rollout.prompt_ids for rollout in microscope.rollouts])
    return {token: _label(microscope, place, shared) for token, place in places.items()}


def most_divergent_step(view: RolloutView) -> int:
    """The step with the largest KL, where looking starts."""
    return int(view.scores.kl.argmax())


def prompt_text(microscope: Microscope, place: int) -> str:
    """The whole prompt as its tokens read."""
    return _read(microscope, microscope.rollouts[place].prompt_ids)


def _url_token(name: str, sample: int) -> str:
    """The problem's name, or a hash where that is nothing for a URL; with the sample where it has several."""
    if len(name) > LONGEST_TOKEN or not name.isprintable():
        name = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return name if sample == 0 else f"{name}:{sample}"


def _label(microscope: Microscope, place: int, shared: tuple[int, int]) -> str:
    ids = microscope.rollouts[place].prompt_ids
    problem = _read(microscope, ids[shared[0] : len(ids) - shared[1]][:LONGEST_PROBLEM]).strip()
    name = plain(microscope.rollouts[place].problem_id, 40)
    return f"{name} · {plain(problem, LONGEST_PROBLEM)} · KL {microscope.mean_kl[place]:.2f}"


def _read(microscope: Microscope, ids: tuple[int, ...]) -> str:
    return "".join(microscope.texts.get(token, f"token {token}") for token in ids)


def _shared_ends(prompts: list[tuple[int, ...]]) -> tuple[int, int]:
    """How many ids all prompts begin and end with: the chat template around the problems."""
    first, *others = prompts
    if not others:
        return 0, 0
    shortest = min(map(len, prompts))
    begin = next((i for i in range(shortest) if any(p[i] != first[i] for p in others)), shortest)
    left = shortest - begin
    end = next((i for i in range(left) if any(p[-1 - i] != first[-1 - i] for p in others)), left)
    return begin, end
