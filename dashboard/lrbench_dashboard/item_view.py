"""One item: the problem, the gold answer, and both completions with verdicts and reasons."""

from __future__ import annotations

import streamlit as st

from lrbench.results.web.items import Item, Pair, cause
from lrbench.results.web.text import name_html, text_html
from lrbench.results.web.text_diff import diff_html
from lrbench_dashboard.maths import with_maths

LONGEST_ANSWER = 300


def show_item(pair: Pair, names: tuple[str, str], typeset: bool) -> None:
    """Draw one item; `typeset` shows formulas as formulas, otherwise differences are marked."""
    first, second = sides = (pair.first, pair.second)
    of = f"{name_html(pair.benchmark)}, " if pair.benchmark else ""
    st.html(f'<h3 class="lr-item-id">{of}{name_html(first["id"])}</h3>')
    if typeset:
        with st.container(key="maths-problem"):
            st.markdown(with_maths(first["problem"]))
    else:
        st.html(f'<div class="lr-text lr-problem-text">{text_html(first["problem"])}</div>')
    st.html(f'<p class="lr-gold">gold answer <b>{name_html(first["gold"], LONGEST_ANSWER)}</b></p>')
    if typeset:
        for column, item, name in zip(st.columns(2), sides, names, strict=True):
            with column:
                st.html(_judgement_html(item, name))
                with st.container(key=f"maths-{'first' if item is first else 'second'}"):
                    st.markdown(with_maths(item["completion"]))
        return
    texts = diff_html(first["completion"], second["completion"])
    shown = "".join(
        f'<section>{_judgement_html(item, name)}<div class="lr-text lr-completion">{text}</div></section>'
        for item, name, text in zip(sides, names, texts, strict=True)
    )
    st.html(f'<div class="lr-sides">{shown}</div>')


def _judgement_html(item: Item, name: str) -> str:
    """Both verdicts, the answer that was read, and what a wrong one is owed to."""
    verdicts = " ".join(
        f'<span class="lr-verdict lr-{"right" if item[verdict] else "wrong"}">{verdict}: '
        f"{'right' if item[verdict] else 'wrong'}</span>"
        for verdict in ("paper", "exact")
    )
    prediction = item["prediction"]
    answer = "no answer" if prediction is None else f"<b>{name_html(prediction, LONGEST_ANSWER)}</b>"
    length = f"{item['tokens']:,} tokens{', cut at the limit' if item['truncated'] else ''}"
    owed = cause(item)
    reason = name_html(item["reason"]) + (f", so <b>{owed}</b>" if owed else "")
    return (
        f'<h4 class="lr-side-name">{name_html(name)}</h4>'
        f'<p class="lr-judgement">{verdicts}<br>read: {answer}; {reason}; {length}</p>'
    )
