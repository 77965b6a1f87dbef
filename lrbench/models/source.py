"""Where a model comes from, and the identity of its weights (law 1).

A reference is `embedded/NAME`, a local folder, or a hub id. Folders are identified by the hashes of
every file that decides what the model computes or how text becomes tokens; hub models by the commit
their revision points at.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lrbench.embedded.assets import model_folder
from lrbench.errors import ModelError, RunError
from lrbench.recipe.references import EMBEDDED, Origin, local_path, origin_of_model
from lrbench.recipe.schema import ModelReference
from lrbench.store.keys import FileHashes, stable_hash

# Files that decide the computation or the tokens. generation_config.json is left out on purpose:
# decoding is always declared, never taken from what a model ships with.
IDENTITY_PATTERNS = (
    "config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template*",
    "*.model",
)
ADAPTER_CONFIG = "adapter_config.json"
DOWNLOAD_PATTERNS = [*IDENTITY_PATTERNS, "*.jinja"]


@dataclass(frozen=True)
class LocatedModel:
    """A model on this machine: what the recipe calls it, its folder, and its weights' identity.

    `stamp` is the state of its files when they were identified; `check_unchanged` compares it later. A model
    that is not `here` has an empty stamp and no folder; its identity holds the revision as it was written.
    """

    name: str
    folder: Path
    identity: str
    dtype: str
    stamp: tuple[tuple[str, int, int, int], ...] = field(repr=False)
    here: bool = True


def locate(reference: ModelReference, hashes: FileHashes, offline: bool = False) -> LocatedModel:
    """Find the model a reference names, fetching it from the hub where it is not yet here.

    Without a revision a model of the hub is what its `main` points at now; `offline`, what it pointed at when
    it was last fetched.

    Raises `ModelError` when it cannot be found, or holds no safetensors weights.
    """
    origin = origin_of_model(reference.model)
    if origin is Origin.HUB:
        folder = _fetch(reference, offline)
        # The hub's cache names a snapshot's folder by its commit.
        identity = f"hub:{reference.model}@{folder.name}"
    else:
        folder = _folder(reference, origin)
        identity = folder_identity(folder, hashes)
    if (folder / ADAPTER_CONFIG).exists():
        raise ModelError(
            f"{reference.model}: the folder holds {ADAPTER_CONFIG}, an adapter that would be applied "
            "silently; merge it into the weights, or move it elsewhere"
        )
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"{reference.model}: the folder holds no .safetensors file; other weight formats can run code "
            "and are refused. Save the model with safetensors first."
        )
    _check_index(reference.model, folder)
    return LocatedModel(reference.model, folder, identity, reference.dtype, _stamp(folder))


def expect(reference: ModelReference, hashes: FileHashes) -> LocatedModel:
    """`locate` without the network: a model of the hub that is not in its cache is said not to be `here`.

    Raises `ModelError` as `locate` does.
    """
    if origin_of_model(reference.model) is not Origin.HUB or _cached(reference) is not None:
        return locate(reference, hashes, offline=True)
    identity = f"hub:{reference.model}@{reference.revision or 'main'}, not here yet"
    return LocatedModel(reference.model, Path(), identity, reference.dtype, (), here=False)


def placed(model: LocatedModel, folder: Path) -> LocatedModel:
    """`model`, which was not here, now that `folder` holds its files. Its identity stays what it was."""
    return replace(model, folder=folder, stamp=_stamp(folder), here=True)


def check_unchanged(model: LocatedModel) -> None:
    """Raise `RunError` when the model's files are not those that were identified."""
    if _stamp(model.folder) != model.stamp:
        raise RunError(
            f"{model.name}: its files changed while the run was going on, so its results would be filed "
            "under the old weights; leave the folder alone and run again"
        )


def folder_identity(folder: Path, hashes: FileHashes) -> str:
    """Hash over the names and contents of the files that make the model what it is."""
    return f"files:{stable_hash({path.name: hashes.sha256(path) for path in _identity_files(folder)})}"


def _identity_files(folder: Path) -> list[Path]:
    return sorted({path for pattern in IDENTITY_PATTERNS for path in folder.glob(pattern) if path.is_file()})


def _stamp(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    states = [(path.name, path.stat()) for path in _identity_files(folder)]
    return tuple((name, state.st_size, state.st_mtime_ns, state.st_ino) for name, state in states)


def _check_index(name: str, folder: Path) -> None:
    """Refuse an index of weights that names files which are not here, or not among those that are hashed."""
    for index in folder.glob("*.safetensors.index.json"):
        try:
            files = sorted({str(file) for file in json.loads(index.read_text())["weight_map"].values()})
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise ModelError(f"{name}: {index.name} cannot be read as an index of weights") from error
        stray = [file for file in files if (folder / file).parent != folder]
        if stray:
            raise ModelError(f"{name}: {index.name} names {stray[0]}, which is outside the model's folder")
        missing = [file for file in files if not (folder / file).is_file()]
        if missing:
            others = f" and {len(missing) - 1} more" if missing[1:] else ""
            raise ModelError(
                f"{name}: {index.name} names {missing[0]}{others}, which the folder does not hold; copy or "
                "fetch the whole model again"
            )


def model_identity(model: LocatedModel) -> dict[str, Any]:
    """The fields of a stage's identity that a model contributes."""
    return {"weights": model.identity, "dtype": model.dtype}


def _folder(reference: ModelReference, origin: Origin) -> Path:
    if origin is Origin.EMBEDDED:
        return model_folder(reference.model.removeprefix(EMBEDDED))
    folder = local_path(reference.model).resolve()
    if not (folder / "config.json").is_file():
        raise ModelError(f"{reference.model}: no model folder there (config.json is missing)")
    return folder


def _cached(reference: ModelReference) -> Path | None:
    """The folder of a model in the hub's cache, where its weights are there too."""
    try:
        folder = _fetch(reference, offline=True)
        _check_index(reference.model, folder)
    except ModelError:
        return None
    return folder if any(folder.glob("*.safetensors")) else None


def _fetch(reference: ModelReference, offline: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                reference.model,
                revision=reference.revision,
                allow_patterns=list(DOWNLOAD_PATTERNS),
                local_files_only=offline,
            )
        )
    except HFValidationError as error:
        raise ModelError(
            f"{reference.model}: neither a folder here, nor embedded/NAME, nor a hub id ({error})"
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(
            f"{reference.model}: cannot be fetched from the hub and is not in its cache here ({reason}). "
            "Check the name and revision, or give a local folder."
        ) from error
