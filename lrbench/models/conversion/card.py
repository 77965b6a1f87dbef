"""The card of a converted model: where it comes from, what was done to it, and the hashes of all files."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lrbench.models.conversion.weights import Weights
from lrbench.store.keys import hash_file

# What a file may say of its own origin.
TOLD = {
    "general.name": "name",
    "general.organization": "organisation",
    "general.author": "author",
    "general.license": "licence",
    "general.url": "address",
    "general.source.url": "source",
    "general.base_model.0.repo_url": "made from",
    "general.quantized_by": "quantised by",
}
LONGEST = 200
LICENCE_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")


@dataclass(frozen=True)
class Origin:
    """What only the one who converts knows: a title, a licence, and words on where the file comes from.

    A `chat_template` takes the place of the file's own.
    """

    title: str | None = None
    licence: str | None = None
    words: str = ""
    chat_template: str | None = None


NOTHING_KNOWN = Origin()


def card(weights: Weights, source_hash: str, dtype: str, folder: Path, origin: Origin) -> str:
    """The Markdown of the card of the model that lies in `folder`, without its card."""
    file = weights.file
    told = {words: _line(file.metadata[key]) for key, words in TOLD.items() if file.metadata.get(key)}
    licence = origin.licence or told.get("licence", "")
    header = [f"license: {licence}"] if LICENCE_NAME.fullmatch(licence) else []
    lines = ["---", *header, "library_name: transformers", "pipeline_tag: text-generation", "---", ""]
    lines += [f"# {origin.title or told.get('name') or file.path.name}", ""]
    if origin.words:
        lines += [origin.words.strip(), ""]
    lines += [
        f"`lrbench convert` has written this folder from the GGUF file {file.path.name} "
        f"({file.path.stat().st_size:,} bytes), sha256",
        f"{source_hash}.",
        f"Its weights, stored as {_types(weights)},",
        f"were dequantised and rounded to {dtype}. What quantisation took away stays lost: scores compare",
        "with none of the model that was quantised.",
        "",
        _tying(weights),
        "",
    ]
    if told:
        lines += ["The file says of itself, unchecked:", ""]
        lines += [f"- {words}: {said}" for words, said in told.items()]
    else:
        lines += ["The file says nothing of where it comes from."]
    lines += ["", "| file | sha256 |", "| --- | --- |"]
    lines += [f"| {path.name} | {hash_file(path)} |" for path in sorted(folder.iterdir())]
    return "\n".join(lines) + "\n"


def _line(said: object) -> str:
    """What a stranger's file says as one line of text that is no markup."""
    printable = "".join(character if character.isprintable() else " " for character in str(said))
    return re.sub(r"([\\`*\[\]<>|$#])", r"\\\1", printable[:LONGEST])


def _types(weights: Weights) -> str:
    counts = Counter(weights.file.quantisation(source) for source in weights.sources.values())
    return ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))


def _tying(weights: Weights) -> str:
    twice = weights.stored_twice
    if twice is not None:
        kept, dropped = (
            f"{name} ({weights.file.quantisation(name)})" for name in (twice.kept, twice.dropped)
        )
        return (
            "Embedding and output are one matrix that the file stores twice (cosine of rows "
            f"{twice.cosine:.3f}).\nThe finer copy, {kept}, is kept for both, and {dropped} is not."
        )
    if weights.tied:
        return "The file stores one matrix for embedding and output, and so does this folder."
    return "Embedding and output are two matrices."
