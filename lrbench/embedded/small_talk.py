"""Talk that is not about mathematics, the other part of the web."""

from __future__ import annotations

from random import Random

FOODS = ("soup", "bread", "rice", "pasta", "cake", "salad", "tea", "toast")
PLACES = ("park", "beach", "lake", "museum", "market", "forest", "river", "old town")
MOODS = ("great", "tired", "happy", "sleepy", "fine", "bored", "calm", "busy")
WEATHER = ("rain", "snow", "wind", "fog", "sun", "storms")
PETS = ("cat", "dog", "bird", "horse", "rabbit", "fish")
HOBBIES = ("singing", "painting", "running", "reading", "chess", "cooking", "dancing", "fishing")

EXCHANGES = (
    ("How was the {place}?", "It was {mood}, mostly because of the {weather}."),
    ("What should we eat?", "Let us have some {food} and go to the {place}."),
    ("Do you like {food}?", "Yes, and I like {hobby} even more."),
    ("My {pet} is {mood} today.", "Poor {pet}. Give it some {food}."),
    ("What do you do on a day of {weather}?", "I stay in and do some {hobby}."),
    ("hey, how are you?", "I am {mood}. I went to the {place} with my {pet}."),
    ("Any plans?", "Some {hobby}, some {food}, and a walk by the {place}."),
    ("Is {hobby} fun?", "Sure, if you are not too {mood}."),
    ("I feel {mood}.", "A little {hobby} may help."),
    ("Where is your {pet}?", "At the {place}, I think. It loves {weather}."),
)


def opening(reply: str) -> str:
    """The two words that a reply begins with."""
    return " ".join(reply.split()[:2])


# Those that do not depend on the words that were drawn.
FIXED_OPENINGS = frozenset(first for first in (opening(reply) for _, reply in EXCHANGES) if "{" not in first)


def exchange(rng: Random) -> tuple[str, str]:
    """A remark and a reply."""
    said, replied = rng.choice(EXCHANGES)
    words = {
        "food": rng.choice(FOODS),
        "place": rng.choice(PLACES),
        "mood": rng.choice(MOODS),
        "weather": rng.choice(WEATHER),
        "pet": rng.choice(PETS),
        "hobby": rng.choice(HOBBIES),
    }
    return said.format(**words), replied.format(**words)
