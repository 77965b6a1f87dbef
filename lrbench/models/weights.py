"""Which files of a folder the weights are read from: one rule, proven from their headers.

A model is read from `model.safetensors`, or from the shards that `model.safetensors.index.json` names, and
from nothing else. A folder that leaves open which of them is meant is refused.
"""

from __future__ import annotations

import re
from pathlib import Path

from lrbench.errors import ModelError
from lrbench.models.reading import Shapes, read_object, tensor_shapes

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
LARGEST_INDEX = 100_000_000
SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")
RULE = f"weights are read from {SINGLE}, or from the files that {INDEX} names"
FETCH = "copy or fetch the whole model again"
REMOVE = "Remove what does not belong to the model."


def weight_files(name: str, folder: Path) -> tuple[Path, ...]:
    """The safetensors files that a model is read from. Raises `ModelError` where that is left open."""
    index = folder / INDEX
    named = sorted(set(_weight_map(name, index).values())) if _is_entry(index) else []
    single = [SINGLE] if _is_entry(folder / SINGLE) else []
    if not named and not single:
        others = sorted(path.name for path in folder.glob("*.safetensors"))
        if not others:
            raise ModelError(
                f"{name}: the folder holds no .safetensors file; other weight formats can run code "
                "and are refused. Save the model with safetensors first."
            )
        raise ModelError(
            f"{name}: the folder holds {others[0]} and no {INDEX} that names it; {RULE}; {FETCH}"
        )
    missing = [file for file in named if not _is_entry(folder / file)]
    if missing:
        more = f" and {len(missing) - 1} more" if missing[1:] else ""
        raise ModelError(f"{name}: {INDEX} names {missing[0]}{more}, which the folder does not hold; {FETCH}")
    if single and named and named != single:
        raise ModelError(
            f"{name}: the folder holds {SINGLE} beside {INDEX}, which names {named[0]}; {RULE}. {REMOVE}"
        )
    read = named or single
    left = [path.name for path in sorted(folder.glob("model-*")) if SHARD.fullmatch(path.name)]
    stray = [file for file in left if file not in read]
    if stray:
        raise ModelError(
            f"{name}: the folder holds {stray[0]}, a part of a model that is not read; {RULE}. {REMOVE}"
        )
    return tuple(folder / file for file in read)


def are_here(name: str, folder: Path) -> bool:
    """Whether there are weights and no file that an index names is missing; they may be wrong otherwise."""
    try:
        index = _weight_map(name, folder / INDEX) if _is_entry(folder / INDEX) else {}
    except ModelError:
        return True
    return all(_is_entry(folder / file) for file in index.values()) and any(folder.glob("*.safetensors"))


def weight_shapes(name: str, folder: Path) -> Shapes:
    """The shape of every tensor of the model. Raises `ModelError` where index and files differ."""
    shapes: Shapes = {}
    placed: dict[str, str] = {}
    for path in weight_files(name, folder):
        for tensor, shape in tensor_shapes(name, path).items():
            if tensor in placed:
                raise ModelError(f"{name}: {placed[tensor]} and {path.name} both hold the weight {tensor}")
            shapes[tensor], placed[tensor] = shape, path.name
    if not shapes:
        raise ModelError(f"{name}: its weights are empty")
    if _is_entry(folder / INDEX):
        _compare(name, folder / INDEX, placed)
    return shapes


def _compare(name: str, index: Path, placed: dict[str, str]) -> None:
    """Refuse an index that does not say of every weight in which file it is."""
    if not isinstance(read_object(name, index, LARGEST_INDEX).get("metadata"), dict):
        raise ModelError(f"{name}: {INDEX} has no metadata, which libraries need of it; {FETCH}")
    named = _weight_map(name, index)
    for tensor, file in named.items():
        if placed.get(tensor) != file:
            raise ModelError(
                f"{name}: {INDEX} says that the weight {tensor} is in {file}, which does not hold it; {FETCH}"
            )
    unnamed = [tensor for tensor in placed if tensor not in named]
    if unnamed:
        file = placed[unnamed[0]]
        raise ModelError(f"{name}: {file} holds the weight {unnamed[0]}, which {INDEX} has not; {FETCH}")


def _weight_map(name: str, index: Path) -> dict[str, str]:
    """Weight -> file, both as the index has them."""
    found = read_object(name, index, LARGEST_INDEX).get("weight_map")
    if not isinstance(found, dict) or not found or not all(isinstance(file, str) for file in found.values()):
        raise ModelError(f"{name}: {index.name} cannot be read as an index of weights")
    for file in sorted(set(found.values())):
        if file != Path(file).name or "\\" in file:
            raise ModelError(f"{name}: {index.name} names {file}, which is outside the model's folder")
        if not file.endswith(".safetensors"):
            raise ModelError(f"{name}: {index.name} names {file}, which is no .safetensors file")
    return found


def _is_entry(path: Path) -> bool:
    """Whether there is anything of that name, be it a link that leads nowhere."""
    return path.is_symlink() or path.exists()
