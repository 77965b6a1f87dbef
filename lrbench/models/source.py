"""Where a model comes from, and the identity of its weights (law 1).

A reference is `embedded/NAME`, a local folder, or a hub id. Folders are identified by the hashes of
every file that decides what the model computes or how text becomes tokens; hub models by the commit
their revision points at.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lrbench.embedded.assets import model_folder
from lrbench.errors import ModelError, RunError
from lrbench.models.attention import USUAL, attention_of
from lrbench.models.config import CONFIG, text_config
from lrbench.models.folder import check_folder
from lrbench.models.weights import are_here
from lrbench.recipe.references import EMBEDDED, Origin, local_path, origin_of_model
from lrbench.recipe.schema import ModelReference
from lrbench.store.keys import FileHashes, stable_hash

# Files that decide the computation or the tokens. generation_config.json is left out on purpose: decoding is
# always declared, never taken from what a model ships with. What ends a turn alone is read from it, and that
# is in the keys of what is written (`turn_marks`).
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
    # Templates by name, of which one called default takes the place of the tokenizer's own.
    "additional_chat_templates/*.jinja",
)
FILE_SUFFIXES = (".json", ".safetensors", ".model", ".txt", ".jinja")
DOWNLOAD_PATTERNS = [*IDENTITY_PATTERNS, "*.jinja", "generation_config.json"]


@dataclass(frozen=True)
class LocatedModel:
    """A model on this machine: what the recipe calls it, its folder, and its weights' identity.

    `stamp` is the state of its files when they were identified; `check_unchanged` compares it later. A model
    that is not `here` has an empty stamp and no folder; its identity holds the revision as it was written.
    `attention` is how it is computed; `text_alone` says that it neither sees nor hears.
    """

    name: str
    folder: Path
    identity: str
    dtype: str
    stamp: tuple[tuple[str, int, int, int], ...] = field(repr=False)
    here: bool = True
    attention: str = USUAL
    text_alone: bool = True

    @property
    def files(self) -> frozenset[str]:
        """The files that were identified, by their paths below the folder."""
        return frozenset(file for file, *_ in self.stamp)


def locate(reference: ModelReference, hashes: FileHashes, offline: bool = False) -> LocatedModel:
    """Find the model a reference names, fetching it from the hub where it is not yet here.

    Without a revision a model of the hub is what its `main` points at now; `offline`, what it pointed at when
    it was last fetched.

    Raises `ModelError` when it cannot be found, or holds no safetensors weights.
    """
    origin = origin_of_model(reference.model)
    try:
        folder = _fetch(reference, offline) if origin is Origin.HUB else _folder(reference, origin)
        config = check_folder(reference.model, folder, _files(folder))
        # The hub's cache names a snapshot's folder by its commit.
        hub = f"hub:{reference.model}@{folder.name}"
        identity = hub if origin is Origin.HUB else folder_identity(folder, hashes)
        return LocatedModel(
            reference.model,
            folder,
            identity,
            reference.dtype,
            _stamp(folder),
            attention=attention_of(config),
            text_alone=text_config(config) is config,
        )
    except OSError as error:
        raise ModelError(f"{reference.model}: its folder cannot be read ({error})") from error


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
    return f"files:{stable_hash({file: hashes.sha256(path) for file, path in _files(folder).items()})}"


def _files(folder: Path) -> dict[str, Path]:
    """The files that make the model what it is, by their paths below the folder.

    What only has the name of such a file, as a pipe may, is among them: `check_folder` refuses it.
    """
    found = {path for pattern in IDENTITY_PATTERNS for path in folder.glob(pattern)}
    return {path.relative_to(folder).as_posix(): path for path in sorted(found) if _is_meant(path)}


def _is_meant(path: Path) -> bool:
    """Whether the name is that of a file; folders may well be called `tokenizer`."""
    return not path.is_dir() or path.suffix in FILE_SUFFIXES


def _stamp(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    states = [(file, path.stat()) for file, path in _files(folder).items()]
    return tuple((file, state.st_size, state.st_mtime_ns, state.st_ino) for file, state in states)


def model_identity(model: LocatedModel) -> dict[str, Any]:
    """The fields of a stage's identity that a model contributes."""
    unusual = {} if model.attention == USUAL else {"attention": model.attention}
    return {"weights": model.identity, "dtype": model.dtype, **unusual}


def _folder(reference: ModelReference, origin: Origin) -> Path:
    if origin is Origin.EMBEDDED:
        return model_folder(reference.model.removeprefix(EMBEDDED))
    try:
        folder = local_path(reference.model).resolve()
        found = os.path.lexists(folder / CONFIG)
    except (RuntimeError, ValueError) as error:
        # Links that lead in circles, and names that no file can have.
        raise ModelError(f"{reference.model}: no folder can be there ({error})") from error
    if not found:
        raise ModelError(f"{reference.model}: no model folder there ({CONFIG} is missing)")
    return folder


def _cached(reference: ModelReference) -> Path | None:
    """The folder of a model in the hub's cache, where its weights are there too."""
    try:
        folder = _fetch(reference, offline=True)
    except ModelError:
        return None
    return folder if are_here(reference.model, folder) else None


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
