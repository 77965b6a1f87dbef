"""What begins and ends a turn of a model: read from its files, and from what its chat template writes.

Three places say where an answer ends, and none of them alone: the chat template (what follows an
assistant's turn), the tokenizer (its end of sequence), and `eos_token_id` of generation_config.json.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from lrbench.errors import LrbenchError, ModelError
from lrbench.models.source import LocatedModel
from lrbench.models.template import (
    FIRST,
    SECOND,
    Conversation,
    Rendering,
    check_shown,
    printable,
    render_conversations,
)
from lrbench.models.tokenizer_facts import (
    TokenizerFacts,
    facts_in_files,
    facts_of,
    generation_ends,
    output_rows_of,
)

if TYPE_CHECKING:
    from lrbench.models.loading import Tokenizer

# These end a turn wherever a tokenizer has them, whatever else does.
ALWAYS_ENDS = ("<|im_end|>", "<|endoftext|>", "</s>")
CHATML_MARKS = ("<|im_start|>", "<|im_end|>")
# Why fields of an identity count that were not there at first.
MARKS = {
    "stops": "answers end at every token that ends a turn of the model",
    "end": "answers that are learnt end as the model's own chat template ends a turn",
    "begins": "prompts begin with what the model's tokenizer begins every text with",
    "control_text": "what is spelt like a control token in a text is read as text",
}

SYSTEM = "Keep to whole numbers, please."
ANSWER = "It is above."


@dataclass(frozen=True)
class TurnMarks:
    """Token ids that begin a prompt and end an answer.

    `stops` end one wherever they are written, in ascending order; `end` is the one that training puts behind
    an answer, None where there is none. `begins` stand before a prompt in ChatML, for a model without a
    template; a template writes what it needs itself. `spelt` names every id. `system` says what the template
    makes of a system prompt: "shown", "ignored" or "refused", in the words of `refusal`. `remarks` are for
    people. `controls` are the tokens that no text of a user may turn into.
    """

    stops: tuple[int, ...]
    end: int | None
    begins: tuple[int, ...]
    spelt: Mapping[int, str]
    system: str
    refusal: str
    remarks: tuple[str, ...]
    implied_stops: tuple[int, ...]
    implied_end: int | None
    controls: tuple[str, ...]

    @cached_property
    def writing(self) -> dict[str, Any]:
        """What a stage that writes answers has in its identity: what was not implied before."""
        stops = {"stops": list(self.stops)} if self.stops != self.implied_stops else {}
        return stops | self.beginning

    @cached_property
    def measuring(self) -> dict[str, Any]:
        """As `writing`, for answers that are graded: their texts once held the mark that ended them."""
        cut = all(self.spelt.get(stop) in ("<|im_end|>", "<|endoftext|>") for stop in self.stops)
        return self.writing if cut else {"stops": list(self.stops)} | self.beginning

    @cached_property
    def ending(self) -> dict[str, Any]:
        """What a stage that ends given answers has in its identity."""
        end = {"end": self.end} if self.end != self.implied_end else {}
        return end | self.beginning

    @property
    def beginning(self) -> dict[str, Any]:
        """What a stage that only builds prompts has in its identity."""
        return {"begins": list(self.begins)} if self.begins else {}

    def control_text(self, texts: Iterable[str]) -> dict[str, Any]:
        """What a stage has in its identity whose `texts` hold what is spelt like a control token.

        Also where it would be spelt so only in a normal form, or in small letters.
        """
        known = self._control_text
        held = known is not None and any(known.search(text) or known.search(_normal(text)) for text in texts)
        return {"control_text": "as text"} if held else {}

    @cached_property
    def _control_text(self) -> re.Pattern[str] | None:
        spelt = {*self.controls, *map(_normal, self.controls)}
        return re.compile("|".join(map(re.escape, sorted(spelt)))) if spelt else None

    @property
    def text(self) -> str:
        """`<|im_end|> (2), <|endoftext|> (0)`, the end that training uses first."""
        ordered = sorted(self.stops, key=lambda stop: (stop != self.end, stop))
        return ", ".join(f"{printable(self.spelt.get(stop, '?'))} ({stop})" for stop in ordered)


# Two that ask at once would have the template rendered twice.
_FINDING = Lock()
NOTHING_KNOWN = TurnMarks((), None, (), {}, "shown", "", (), (), None, ())


def turn_marks(model: LocatedModel) -> TurnMarks:
    """The marks of a model that is here; of one that is not, nothing is known yet.

    Raises `ModelError` for a chat template that does not show a problem, or files that cannot be read.
    """
    if not model.here:
        return NOTHING_KNOWN
    with _FINDING:
        return _turn_marks(model, generation_ends(model))


def begin_turn_marks(model: LocatedModel) -> None:
    """Have `turn_marks` found beside what the caller does next: another process renders the template."""

    def find() -> None:
        # What is wrong with the model is told to whoever asks.
        with suppress(LrbenchError, OSError):
            if model.here and facts_in_files(model.folder) is not None:
                turn_marks(model)

    Thread(target=find, name="turn marks", daemon=True).start()


def end_of_turn(model: LocatedModel) -> int:
    """The token that ends an answer of the model. Raises `ModelError` when it has none."""
    end = turn_marks(model).end
    if end is None:
        raise ModelError(f"{model.name}: it has no token that ends a turn, so no answer can be ended")
    return end


@cache
def _turn_marks(model: LocatedModel, generation: tuple[int, ...]) -> TurnMarks:
    facts = facts_in_files(model.folder)
    if facts is None:
        from lrbench.models.loading import load_tokenizer

        facts = facts_of(load_tokenizer(model), model.name)
    return _marks_of(model, facts, generation)


def check_loaded(model: LocatedModel, tokenizer: Tokenizer) -> None:
    """Raise `ModelError` when a tokenizer as loaded ends turns otherwise than its files were read to do."""
    facts, loaded = facts_in_files(model.folder), facts_of(tokenizer, model.name)
    if facts is None or (facts.template, facts.end_of_text, facts.added) == (
        loaded.template,
        loaded.end_of_text,
        loaded.added,
    ):
        return
    read, found = turn_marks(model), _marks_of(model, loaded, generation_ends(model))
    if (found.stops, found.end, found.begins) != (read.stops, read.end, read.begins):
        raise ModelError(
            f"{model.name}: its tokenizer files disagree about what ends a turn: {read.text} as they are "
            f"written, {found.text} as they load; save the tokenizer anew, from one that loads as it should"
        )


def _marks_of(model: LocatedModel, facts: TokenizerFacts, generation: Iterable[int]) -> TurnMarks:
    rows = output_rows_of(model.folder)
    # An id beyond the output layer is never written.
    return marks_from(model.name, facts, [end for end in generation if rows is None or end < rows])


def marks_from(name: str, facts: TokenizerFacts, generation: Iterable[int]) -> TurnMarks:
    """The marks that follow from what a model's files say; renders its chat template.

    Raises `ModelError` when the template does not show the problem it is given.
    """
    added = facts.added
    implied = {added[token] for token in ALWAYS_ENDS if token in added}
    implied |= set() if facts.end_of_text is None else {facts.end_of_text}
    implied_end = added.get("<|im_end|>", facts.end_of_text)
    remarks: list[str] = []
    system, refusal, written, scaffold = "shown", "", None, "".join(CHATML_MARKS)
    if facts.template is None:
        missing = [mark for mark in CHATML_MARKS if mark not in added]
        if missing:
            remarks.append(
                f"{name} has no chat template, so problems are put to it in ChatML, whose marks "
                f"{' and '.join(missing)} are no tokens of it: it reads them as plain text. To ask it "
                "in another way, write a chat_template.jinja into a copy of its folder."
            )
    else:
        bare, other, answered, followed, told = render_conversations(
            name,
            facts.template,
            facts.named,
            (
                Conversation((("user", FIRST),)),
                Conversation((("user", SECOND),)),
                Conversation((("user", FIRST), ("assistant", ANSWER)), prompt=False),
                Conversation((("user", FIRST), ("assistant", ANSWER), ("user", SECOND))),
                Conversation((("system", SYSTEM), ("user", FIRST))),
            ),
        )
        check_shown(name, {FIRST: bare, SECOND: other})
        written = _what_ends(answered, followed, added)
        scaffold = "".join((rendering.text or "") for rendering in (bare, answered, followed))
        if written is None and CHATML_MARKS[1] not in added:
            remarks.append(
                f"{name}: no token of it follows an answer in its chat template"
                f"{_looks_like_a_mark(answered)}, so only its end of text ends a turn."
            )
        if told.text is None:
            system, refusal = "refused", told.error
        elif SYSTEM not in told.text:
            system = "ignored"
    spelt = {index: token for token, index in added.items()}
    stops = implied | set(generation)
    if written is not None:
        stops.add(added[written])
    end = implied_end if written is None else added[written]
    if not stops:
        remarks.append(f"{name} has no token that ends a turn, so every answer is as long as allowed.")
    return TurnMarks(
        stops=tuple(sorted(stops)),
        end=end,
        begins=facts.begins,
        spelt=spelt,
        system=system,
        refusal=refusal,
        remarks=tuple(remarks),
        implied_stops=tuple(sorted(implied)),
        implied_end=implied_end,
        controls=tuple(sorted({*facts.special, *_marks(scaffold, added)})),
    )


def system_prompt_left_out(name: str) -> str:
    """What is said of a template that leaves the system prompt out."""
    return f"{name}: its chat template leaves the system prompt out, so the model does not see it."


def _what_ends(answered: Rendering, followed: Rendering, added: Mapping[str, int]) -> str | None:
    """The first token that the template writes behind an assistant's answer."""
    found = _marks(_behind_answer(answered), added)
    if found:
        return found[0]
    # Some templates end a turn only when another one follows, with what begins that one behind it.
    before = set(_marks((followed.text or "").partition(FIRST)[0], added))
    between = _behind_answer(followed).partition(SECOND)[0]
    return next((mark for mark in _marks(between, added) if mark not in before), None)


def _behind_answer(rendering: Rendering) -> str:
    return (rendering.text or "").rpartition(ANSWER)[2] if ANSWER in (rendering.text or "") else ""


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _marks(text: str, added: Mapping[str, int]) -> list[str]:
    """The added tokens in `text` as a tokenizer finds them: from the left, the longest first."""
    known = sorted((token for token in added if token.strip()), key=len, reverse=True)
    return re.findall("|".join(map(re.escape, known)), text) if known else []


def _looks_like_a_mark(answered: Rendering) -> str:
    text = _behind_answer(answered).strip()
    return f" ({printable(text, 40)} is plain text to it)" if text else ""
