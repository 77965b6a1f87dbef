"""What a `model:` or `train:` value refers to: something embedded, public, on this disk, or on the hub."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

from lrbench.data.sets import TRAINING_SETS

EMBEDDED = "embedded/"
# Begins the name of a data set of the hub.
HUB = "hub:"
# Where `make smollm2` puts its model.
SMOLLM2_FOLDER = "./models/smollm2-135m-instruct"
HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")


class Origin(StrEnum):
    """Where the thing referred to lives."""

    EMBEDDED = "embedded"
    PUBLIC = "public"
    LOCAL = "local"
    HUB = "hub"


def origin_of_model(reference: str) -> Origin:
    """`embedded/NAME` ships with lrbench; a folder that is there is local, and so is whatever is written as a
    path (`./`, `../`, `~`, `/`) or has more than one slash; anything else is a hub id, as `owner/name`.

    Folders are relative to the directory that lrbench is started in: `recipe.placing` has seen to that.
    """
    if reference.startswith(EMBEDDED):
        return Origin.EMBEDDED
    if HUB_ID.fullmatch(reference) is None or is_there(local_path(reference)):
        return Origin.LOCAL
    return Origin.HUB


def model_name(reference: str) -> str:
    """What people are told of a model: a local folder by its last name, which says nothing of the machine."""
    return Path(reference).name if origin_of_model(reference) is Origin.LOCAL else reference


def recorded_name(reference: str) -> str:
    """As `model_name`, from the text alone: the same records are told the same on every machine."""
    return reference if HUB_ID.fullmatch(reference) else Path(reference).name or reference


def origin_of_problems(reference: str) -> Origin:
    """`embedded/FAMILY` ships with lrbench, `gsm8k/train` and `math/train` are public, `hub:OWNER/NAME` is of
    the hub; anything else is a file, relative like a folder.
    """
    if reference in TRAINING_SETS:
        return Origin.PUBLIC
    if reference.startswith(HUB):
        return Origin.HUB
    return Origin.EMBEDDED if reference.startswith(EMBEDDED) else Origin.LOCAL


def is_there(path: Path) -> bool:
    """Whether there is anything at `path`; nothing is where a path is too long or may not be looked at."""
    try:
        return path.exists()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Whether there is a file at `path`; none is where a path is too long or may not be looked at."""
    try:
        return path.is_file()
    except OSError:
        return False


def local_path(reference: str) -> Path:
    """The path of a local model folder or problem file. A `~` is the home folder."""
    path = Path(reference)
    try:
        return path.expanduser()
    except RuntimeError:
        # `~nobody`: there is no such user, so no such home; the path is taken as it stands.
        return path
