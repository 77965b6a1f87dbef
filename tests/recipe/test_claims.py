"""Claims as text: what they mean, and what is said of text that makes none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.recipe.claims import Claim, parse_claim


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("lightr > sft on gsm8k by 2", ("lightr", ">", "sft", "gsm8k", 2.0)),
        ("lightr > base on average", ("lightr", ">", "base", "average", 0.0)),
        ("no_contrast < lightr on formal by 0.5", ("no_contrast", "<", "lightr", "formal", 0.5)),
        ("lightr == sft on average within 1", ("lightr", "==", "sft", "average", 1.0)),
        ("  a.b-c>on   on by  ", ("a.b-c", ">", "on", "by", 0.0)),
    ],
)
def test_a_claim_is_read(text: str, meant: tuple[object, ...]) -> None:
    assert parse_claim(text) == Claim(text, *meant)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "allowed is `FIRST > SECOND on WHERE`"),
        ("lightr beats sft on gsm8k", "allowed is `FIRST > SECOND on WHERE`"),
        ("lightr >= sft on gsm8k", "allowed is `FIRST > SECOND on WHERE`"),
        ("lightr > sft", "allowed is `FIRST > SECOND on WHERE`"),
        ("lightr > sft on gsm8k by two", "allowed is `FIRST > SECOND on WHERE`"),
        ("lightr > sft on gsm8k by -2", "allowed is `FIRST > SECOND on WHERE`"),
        ("lightr > sft on gsm8k by 2 points", "allowed is `FIRST > SECOND on WHERE`"),
        ("sft > sft on gsm8k", "compares `sft` with itself"),
        ("lightr == sft on gsm8k", "`==` needs its margin in points, such as `within 1`"),
        ("lightr == sft on gsm8k by 2", "`==` needs its margin in points, such as `within 1`"),
        ("lightr == sft on gsm8k within 0", "the margin of `==` has to be above 0"),
        ("lightr < sft on gsm8k within 1", "`within` belongs to `==`, allowed after `<` is `by`"),
        ("lightr > sft on gsm8k by 101", "at most 100 points"),
    ],
)
def test_text_that_makes_no_claim_is_told(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=r"^found ") as caught:
        parse_claim(text)
    assert told in str(caught.value)


@given(st.text() | st.text("a >=<onbywithin01."))
def test_any_text_that_makes_no_claim_gets_a_printable_message(text: str) -> None:
    try:
        claim = parse_claim(text)
    except ValueError as error:
        message = str(error)
    else:
        message = claim.where
    assert message.isprintable()
