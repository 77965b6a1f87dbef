"""The slow, obvious way to compare two tokenizers' models: strings, prefix by prefix, in plain Python."""

from __future__ import annotations

from typing import Any

from tests.oracles import scoring


def names(tokenizer: Any, end_of_turn: str) -> dict[int, str]:
    """Token id -> its string, where what ends a turn is called the same in every tokenizer."""
    return {index: "END" if token == end_of_turn else token for token, index in tokenizer.get_vocab().items()}


def read(completion: list[int], expert: Any, amateur: Any, ends: tuple[str, str]) -> list[list[int]]:
    """For each token of the expert's, the amateur's ids for it."""
    ours, theirs = names(expert, ends[0]), {name: i for i, name in names(amateur, ends[1]).items()}
    return [
        [theirs[ours[token]]]
        if ours[token] in theirs
        else amateur.encode(expert.decode([token]), add_special_tokens=False)
        for token in completion
    ]


def compared(
    model: Any, tokenizer: Any, prefix: list[int], shared: set[str], end: str
) -> tuple[dict[str, float], float]:
    """The renormalised probability of each shared string after `prefix`, and what they held before."""
    by_id = names(tokenizer, end)
    p = scoring.distribution(model, tuple(prefix), len(by_id))
    held = {by_id[index]: value for index, value in enumerate(p) if by_id[index] in shared}
    mass = sum(held.values())
    return {name: value / mass for name, value in held.items()}, mass
