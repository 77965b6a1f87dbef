"""The known arms as data: their order on a board, their colours, and what they are set against.

What an arm is called is compared nowhere else: whoever needs an order, a colour or a baseline asks here.
"""

from __future__ import annotations

from lrbench.methods.answers import Again, Mix, Vote
from lrbench.methods.component import AMATEUR, ARM, EXPERT
from lrbench.methods.ingredients import Ingredients
from lrbench.methods.neighbours import NEIGHBOURS
from lrbench.methods.preset import PLAIN as PLAIN
from lrbench.methods.preset import Colour as Colour
from lrbench.methods.preset import Preset as Preset
from lrbench.methods.selectors import All, Kl
from lrbench.methods.sources import Greedy, GroundTruth, Solutions
from lrbench.methods.targets import Contrast, OwnToken, Plausible, Soft

# In the order of a board: what others are set against stands first.
PRESETS = (
    Preset("base", Colour("#6b7280", "#9ca3af", "#7f7f7f")),
    Preset(
        "sft",
        Colour("#b45309", "#f59e0b", "#e69f00"),
        Ingredients(source=Solutions(), selector=All(), target=OwnToken()),
        against=("base",),
    ),
    Preset(
        "lightr",
        Colour("#1d4ed8", "#6ea8fe", "#0072b2"),
        Ingredients(source=Greedy(), selector=Kl(), target=Contrast()),
        against=("sft", "base"),
        leads=True,
    ),
    Preset(
        "no_selection",
        Colour("#7700ff", "#ee33cc", "#56b4e9"),
        Ingredients(source=Greedy(), selector=All(), target=Contrast()),
        against=("sft", "base"),
    ),
    Preset(
        "no_contrast",
        Colour("#dd0044", "#ff4444", "#d55e00"),
        Ingredients(source=Greedy(), selector=Kl(), target=OwnToken()),
        against=("sft", "base"),
    ),
    Preset(
        "neither",
        Colour("#772200", "#ffdd66", "#cc79a7"),
        Ingredients(source=Greedy(), selector=All(), target=OwnToken()),
        against=("sft", "base"),
    ),
    Preset(
        "ground_truth",
        Colour("#001144", "#aaeeff", "#009e73"),
        Ingredients(source=GroundTruth(), selector=All(), target=OwnToken()),
        against=("sft", "base"),
    ),
)
# Controls: what a claim has to be held against before it says that training with a pair helps.
CONTROLS = (
    Preset(
        "cd",
        Colour("#007744", "#00ff99", "#117733"),
        answer=Mix(mix={EXPERT: 1.0, AMATEUR: -1.0}, alpha=0.2),
        against=("base",),
    ),
    Preset(
        "flat",
        Colour("#883399", "#8866ff", "#332288"),
        Ingredients(source=Greedy(), selector=Kl(), target=Plausible()),
        against=("base",),
    ),
    Preset(
        "sharpen",
        Colour("#440099", "#339944", "#882255"),
        Ingredients(source=Greedy(), selector=All(), target=Soft(use="soft", of=EXPERT, temperature=0.5)),
        against=("base",),
    ),
    Preset("vote", Colour("#443344", "#bbddcc", "#aa4499"), answer=Vote(vote=8), against=("base",)),
)
# The expert measured once more: what rounding alone does to a score.
NOISE = Preset("again", Colour("#331100", "#998877", "#bbbbbb"), answer=Again(again="1/2"), against=("base",))
_ALL = (*PRESETS, *CONTROLS, NOISE, *(neighbour.preset for neighbour in NEIGHBOURS))
BY_NAME = {preset.name: preset for preset in _ALL}
# At most so many measurements of an arm differ in how many rows are written at once.
MOST_REPEATS = 4
# The expert as it is, and the arm that a recipe is about where it does not say.
UNTRAINED = next(preset for preset in PRESETS if not preset.against)
LEADER = next(preset for preset in PRESETS if preset.leads)


def once_more(share: int) -> dict[str, str]:
    """The answer, as a recipe writes it, of a further measurement with 1/`share` of the rows at once."""
    return {Again.word: f"1/{share}"}


def uses_labels(name: str) -> bool:
    """Whether the preset, or one whose adapter it reads, learns from answers or solutions of the problems."""
    preset = BY_NAME[name]
    ingredients = preset.ingredients
    if ingredients is not None and ingredients.source.label_field is not None:
        return True
    read = preset.answer.models | (ingredients.models if ingredients else frozenset())
    return any(uses_labels(model.removeprefix(ARM)) for model in read if model.startswith(ARM))


def place_of(name: str) -> int:
    """Where arms of this preset stand on a board; those of none stand after all others."""
    return list(BY_NAME).index(name) if name in BY_NAME else len(BY_NAME)
