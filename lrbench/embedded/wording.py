"""Words for questions: names, things and sentence patterns, and how steps are told with them."""

from __future__ import annotations

from random import Random

from lrbench.embedded.arithmetic import Operator, Step

NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gia", "Hugo", "Ida", "Jon", "Kim", "Leo", "Mia", "Nils")
THINGS = (
    "apples",
    "pens",
    "cards",
    "coins",
    "shells",
    "books",
    "stamps",
    "beads",
    "cups",
    "nuts",
    "keys",
    "figs",
)
CONTAINERS = ("boxes", "bags", "jars", "trays", "bins", "packs")
PLACES = ("shop", "farm", "school", "library", "store", "club")
DAYS = ("On Monday", "On Tuesday", "On Friday", "On Sunday")

EVENTS: dict[Operator, tuple[str, ...]] = {
    "+": (
        "{name} buys {k} more.",
        "{name} finds {k} more.",
        "{friend} gives {name} {k} more.",
        "{name} wins {k} more.",
    ),
    "-": (
        "{name} loses {k}.",
        "{name} sells {k}.",
        "{name} gives {friend} {k}.",
        "{friend} takes {k} of them.",
    ),
    "*": ("A trade leaves {k} times as many.", "The number grows to {k} times as many."),
    "/": ("They are shared equally by {k} people.", "{name} puts them equally into {k} {containers}."),
}
LEDGER_EVENTS: dict[Operator, tuple[str, ...]] = {
    "+": ("{k} more come in.", "it gets {k} more.", "{name} brings {k} more."),
    "-": ("{k} go out.", "it sells {k}.", "{name} takes {k}."),
    "*": ("the stock grows to {k} times as many.",),
    "/": ("the stock is split equally over {k} rooms.",),
}
QUESTIONS = (
    "How many {things} does {name} have now?",
    "How many {things} are there now?",
    "How many {things} are there in the end?",
)
QUESTIONS_EACH = ("How many {things} are in each part?", "How many {things} does each part get?")

DISTRACTIONS = (
    "{friend} is {n} years old.",
    "{friend} has {n} {others}.",
    "The {place} is {n} km away.",
    "There are {n} {others} on a table.",
    "It is {n} degrees outside.",
    "{name} waits {n} minutes.",
)

SHORT: dict[Operator, tuple[str, ...]] = {
    "+": (
        "What is {a} plus {b}?",
        "Find the sum of {a} and {b}.",
        "What number is {b} more than {a}?",
        "Add {b} to {a}.",
        "{name} is {a} years old. How old is {name} in {b} years?",
        "{name} has {a} {things} and gets {b} more. How many in all?",
        "A {place} has {a} {things} and orders {b} more. What is the total?",
    ),
    "-": (
        "What is {a} minus {b}?",
        "Find the difference of {a} and {b}.",
        "What number is {b} less than {a}?",
        "Take {b} from {a}.",
        "{name} is {a} years old. How old was {name} {b} years ago?",
        "{name} has {a} {things} and uses {b}. How many remain?",
        "A {place} has {a} {things} and {b} break. How many are whole?",
    ),
    "*": (
        "What is {a} times {b}?",
        "Find the product of {a} and {b}.",
        "There are {a} {containers} of {b} {things}. How many {things}?",
        "{name} reads {b} pages a day for {a} days. How many pages?",
        "{a} {things} cost {b} cents each. What do they cost?",
        "{name} draws {a} rows of {b} {things}. How many are drawn?",
    ),
    "/": (
        "What is {a} divided by {b}?",
        "Split {a} into {b} equal parts. How big is one?",
        "{a} {things} fill {b} {containers} evenly. How many in one?",
        "{name} shares {a} {things} among {b} friends. How many each?",
        "{b} {things} cost {a} cents. What does one cost?",
        "{name} walks {a} km in {b} equal days. How many km a day?",
    ),
}

MOVERS = ("car", "train", "bus", "boat", "bike", "van", "drone", "truck")
BODIES = ("cart", "block", "crate", "ball", "sled", "rock", "robot", "stone")
SHAPES = ("field", "garden", "floor", "wall", "screen", "lawn", "sheet", "roof")
PARTS = ("lamp", "motor", "wire", "heater", "fan", "coil", "bulb", "pump")

PRODUCT_FORMULAS = (
    "A {mover} moves at {a} m/s for {b} s. Find the distance.",
    "A {shape} is {a} m long and {b} m wide. Find its area.",
    "A force of {a} N moves a {body} {b} m. Find the work.",
    "A current of {a} A runs through a {part} of {b} ohm. Find the voltage.",
    "A {body} of {a} kg speeds up at {b} m/s2. Find the force.",
    "A {body} of {a} kg moves at {b} m/s. Find its momentum.",
    "A {part} of {a} W runs for {b} s. Find the energy.",
    "A {part} takes {a} A at {b} V. Find the power.",
    "A {body} has volume {a} m3 and density {b} kg/m3. Find its mass.",
)
QUOTIENT_FORMULAS = (
    "A {mover} covers {a} m in {b} s. Find its speed.",
    "A {shape} of area {a} m2 is {b} m wide. Find its length.",
    "A force of {a} N acts on a {body} of {b} kg. Find the acceleration.",
    "A {part} of {b} ohm is on {a} V. Find the current.",
    "A {part} uses {a} J in {b} s. Find the power.",
    "A {body} of {a} kg has volume {b} m3. Find its density.",
    "A {body} presses with {a} N on {b} m2. Find the pressure.",
)
SUM_FORMULAS = (
    "A {mover} at {k} m/s gains {a} m/s each second for {b} s. Find its speed.",
    "A {mover} is {k} m away and moves off at {a} m/s for {b} s. How far is it?",
    "A {shape} of {a} m by {b} m gets {k} m2 more. Find the area.",
    "A {part} of {a} W runs {b} s, another uses {k} J. Find the energy.",
    "A {body} needs {k} J to lift and {a} N over {b} m. Find the work.",
)
DIFFERENCE_FORMULAS = (
    "A {mover} is to go {a} m/s for {b} s and stops {k} m early. How far does it go?",
    "A {shape} of {a} m by {b} m loses {k} m2. Find the area.",
    "A {part} of {a} W runs {b} s and wastes {k} J. Find the energy used.",
    "A {body} takes {a} N over {b} m, less {k} J of friction. Find the work.",
    "A {part} of {b} ohm at {a} A drops {k} V less. Find the voltage.",
)

EXPRESSION_ASKS = (
    "Compute {e}.",
    "Evaluate {e}.",
    "What is {e}?",
    "Simplify {e}.",
    "Find the value of {e}.",
    "{e} = ?",
)
EQUATION_ASKS = (
    "Solve {e}.",
    "Find {x} if {e}.",
    "If {e}, what is {x}?",
    "{e}. Find {x}.",
    "Which {x} gives {e}?",
    "Let {e}. What is {x}?",
)
UNKNOWNS = ("x", "y", "n", "t", "z", "m")


def _cast(rng: Random) -> dict[str, str]:
    """Names, things and places for one question, no two alike in one role."""
    name, friend = rng.sample(NAMES, 2)
    things, others = rng.sample(THINGS, 2)
    return {
        "name": name,
        "friend": friend,
        "things": things,
        "others": others,
        "containers": rng.choice(CONTAINERS),
        "place": rng.choice(PLACES),
    }


def _told(rng: Random, steps: tuple[Step, ...], cast: dict[str, str]) -> tuple[str, list[str], str]:
    """Opening, events and question of a story whose steps form a chain."""
    first = steps[0]
    if first.operator == "*":
        opening, told = "{name} has {a} {containers} of {b} {things}.", steps[1:]
    else:
        opening, told = "{name} has {a} {things}.", steps
    events = [rng.choice(EVENTS[step.operator]).format(k=step.right, **cast) for step in told]
    asks = QUESTIONS_EACH if steps[-1].operator == "/" else QUESTIONS
    return opening.format(a=first.left, b=first.right, **cast), events, rng.choice(asks).format(**cast)


def story(rng: Random, steps: tuple[Step, ...]) -> str:
    """A story of one person's things."""
    opening, events, ask = _told(rng, steps, _cast(rng))
    return " ".join((opening, *events, ask))


def story_with_distraction(rng: Random, steps: tuple[Step, ...]) -> str:
    """A story with one sentence that carries a number and does not matter."""
    cast = _cast(rng)
    opening, events, ask = _told(rng, steps, cast)
    sentences = [opening, *events]
    distraction = rng.choice(DISTRACTIONS).format(n=rng.randint(2, 40), **cast)
    sentences.insert(rng.randint(0, len(sentences)), distraction)
    return " ".join((*sentences, ask))


def ledger(rng: Random, steps: tuple[Step, ...]) -> str:
    """The stock of a place over several days."""
    cast = _cast(rng)
    first = steps[0]
    if first.operator == "*":
        opening, told = "A {place} has {a} {containers} of {b} {things}.", steps[1:]
    else:
        opening, told = "A {place} has {a} {things}.", steps
    events = [
        f"{day} " + rng.choice(LEDGER_EVENTS[step.operator]).format(k=step.right, **cast)
        for day, step in zip(DAYS, told, strict=False)
    ]
    ask = (
        "How many {things} are in each room?" if steps[-1].operator == "/" else "How many {things} are there?"
    )
    return " ".join((opening.format(a=first.left, b=first.right, **cast), *events, ask.format(**cast)))


def short(rng: Random, step: Step) -> str:
    """One step in few words."""
    return rng.choice(SHORT[step.operator]).format(a=step.left, b=step.right, **_cast(rng))


def _physical(rng: Random, pattern: str, **numbers: int) -> str:
    return pattern.format(
        mover=rng.choice(MOVERS),
        body=rng.choice(BODIES),
        shape=rng.choice(SHAPES),
        part=rng.choice(PARTS),
        **numbers,
    )


def product_formula(rng: Random, step: Step) -> str:
    """A quantity that is the product of two others."""
    return _physical(rng, rng.choice(PRODUCT_FORMULAS), a=step.left, b=step.right)


def quotient_formula(rng: Random, step: Step) -> str:
    """A quantity that is the quotient of two others."""
    return _physical(rng, rng.choice(QUOTIENT_FORMULAS), a=step.left, b=step.right)


def sum_formula(rng: Random, fact: Step, added: int) -> str:
    """A quantity that is a product and something added to it."""
    return _physical(rng, rng.choice(SUM_FORMULAS), a=fact.left, b=fact.right, k=added)


def difference_formula(rng: Random, fact: Step, taken: int) -> str:
    """A quantity that is a product and something taken from it."""
    return _physical(rng, rng.choice(DIFFERENCE_FORMULAS), a=fact.left, b=fact.right, k=taken)


def expression(rng: Random, steps: tuple[Step, ...]) -> str:
    """A chain of two steps as one expression, with brackets where precedence asks for them."""
    inner, outer = steps
    inside = f"{inner.left}{inner.operator}{inner.right}"
    if outer.operator in "*/" and inner.operator in "+-":
        inside = f"({inside})"
    return rng.choice(EXPRESSION_ASKS).format(e=f"{inside}{outer.operator}{outer.right}")


def equation(rng: Random, factor: int, shifted: Step) -> str:
    """`factor * unknown` shifted by a number equals a number."""
    unknown = rng.choice(UNKNOWNS)
    equality = f"{factor}{unknown}{shifted.operator}{shifted.right}={shifted.result}"
    return rng.choice(EQUATION_ASKS).format(e=equality, x=unknown)
