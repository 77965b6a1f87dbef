"""One step of a rollout as HTML: both models side by side, the alpha mask, the contrast and the target."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

from lrbench.results.microscope import Candidate, Step
from lrbench.results.web.tokens import token_name
from lrbench_dashboard.rollout_view import text_of

MOST_ROWS = 16
# Nats of contrast at which a bar ends: a token e^5 = 148 times as likely to one model.
WIDEST_CONTRAST = 5.0
NOT_STORED = "not stored by the version that scored it"


def step_html(step: Step, number: int, texts: Mapping[int, str], rule: str, masked: bool) -> str:
    """The heading and table of a step; `rule` says why it is kept or not, `masked` whether alpha is used."""
    learnt = step.kept
    written = _code(text_of(texts, step.written))
    named = {step.written, step.top1_expert, step.top1_amateur}
    shown = [c for place, c in enumerate(step.candidates) if place < MOST_ROWS or c.token in named]
    rest = [c for place, c in enumerate(step.candidates) if place >= MOST_ROWS and c.token not in named]
    rows = "".join(_row(candidate, step, texts, masked) for candidate in shown)
    return (
        f'<section class="lv-step" aria-live="polite"><h3>Step {number}: {written} '
        f'<span class="lv-kept-{"yes" if learnt else "no"}">{"kept" if learnt else "not kept"}</span></h3>'
        f"<p>{html.escape(rule)} {_agreement(step, texts)} {_of_written(step)} "
        f"Entropy: expert {step.entropy_expert:.2f}, amateur {step.entropy_amateur:.2f} nats.</p>"
        '<div class="lv-scroll" tabindex="0" role="region" aria-label="Tokens of this step">'
        '<table class="lv-table">'
        '<thead><tr><th scope="col">token</th><th scope="col">expert</th><th scope="col">amateur</th>'
        '<th scope="col">contrast<span class="lv-unit"> log p<sub>E</sub> − log p<sub>A</sub></span></th>'
        f"{_mask('<th scope=col>plausible<span class=lv-unit> (α mask)</span></th>', masked)}"
        f'<th scope="col">target{"" if learnt else "<span class=lv-unit> if it were kept</span>"}</th>'
        f"</tr></thead><tbody>{rows}{_others(rest, step, masked)}</tbody></table></div></section>"
    )


def _agreement(step: Step, texts: Mapping[int, str]) -> str:
    expert, amateur = (_code(text_of(texts, token)) for token in (step.top1_expert, step.top1_amateur))
    of_expert = _figure(step.of(step.top1_expert).log_p_expert)
    of_amateur = _figure(step.of(step.top1_amateur).log_p_amateur)
    if step.top1_expert == step.top1_amateur:
        return f"Both models would first write {expert} ({of_expert} and {of_amateur})."
    return f"The expert would first write {expert} ({of_expert}), the amateur {amateur} ({of_amateur})."


def _of_written(step: Step) -> str:
    """What both models give to the token that was written."""
    written = step.of(step.written)
    if step.shared is False:
        return "The models do not share the token written, so neither gives it a probability."
    if written.log_p_expert is None:
        return f"What they give to the token written is {NOT_STORED}."
    return (
        f"To the token written the expert gives {_figure(written.log_p_expert)}, the amateur "
        f"{_figure(written.log_p_amateur)}."
    )


def _figure(log_p: float | None) -> str:
    return NOT_STORED if log_p is None else _share_text(math.exp(log_p))


def _row(candidate: Candidate, step: Step, texts: Mapping[int, str], masked: bool) -> str:
    marks = [
        mark
        for mark, holds in {
            "written": candidate.token == step.written,
            "expert’s first": candidate.token == step.top1_expert,
            "amateur’s first": candidate.token == step.top1_amateur,
        }.items()
        if holds
    ]
    notes = f'<span class="lv-marks">{", ".join(marks)}</span>' if marks else ""
    weight = _share(candidate.weight, "target") if candidate.weight else "<td>–</td>"
    inside = f"<td>{'● yes' if candidate.plausible else '○ no'}</td>"
    return (
        f'<tr class="{"" if candidate.plausible or not masked else "lv-implausible"}">'
        f'<th scope="row">{_code(text_of(texts, candidate.token))} {notes}</th>'
        f"{_probability(candidate.log_p_expert, 'expert')}{_probability(candidate.log_p_amateur, 'amateur')}"
        f"{_contrast(candidate.contrast)}"
        f"{_mask(inside, masked)}{weight}</tr>"
    )


def _probability(log_p: float | None, kind: str) -> str:
    if log_p is None:
        return '<td title="Below α_min times the expert’s first choice: not stored">not stored</td>'
    return _share(math.exp(log_p), kind)


def _share(value: float, kind: str) -> str:
    return (
        f'<td><span class="lv-bar lv-bar-{kind}" style="--part:{100 * min(value, 1.0):.1f}%" '
        f'aria-hidden="true"></span><span class="lv-figure">{_share_text(value)}</span></td>'
    )


def _contrast(contrast: float | None) -> str:
    if contrast is None:
        return "<td>–</td>"
    part = 50 * min(abs(contrast), WIDEST_CONTRAST) / WIDEST_CONTRAST
    side = "more" if contrast >= 0 else "less"
    return (
        f'<td><span class="lv-bar lv-contrast lv-{side}" style="--part:{part:.1f}%" '
        f'aria-hidden="true"></span><span class="lv-figure">{contrast:+.2f}</span></td>'
    )


def _others(rest: Sequence[Candidate], step: Step, masked: bool) -> str:
    """What the rows above leave: stored tokens beyond the first rows, and all that is not stored."""
    if not rest and max(step.elsewhere_expert, step.elsewhere_amateur) < 5e-4:
        return ""
    expert, amateur = (
        left + sum(math.exp(log_p) for log_p in stored if log_p is not None)
        for left, stored in (
            (step.elsewhere_expert, [candidate.log_p_expert for candidate in rest]),
            (step.elsewhere_amateur, [candidate.log_p_amateur for candidate in rest]),
        )
    )
    weight = sum(candidate.weight for candidate in rest)
    return (
        f'<tr class="lv-implausible"><th scope="row">all other tokens</th>{_share(expert, "expert")}'
        f"{_share(amateur, 'amateur')}<td>–</td>{_mask('<td>–</td>', masked)}"
        f"{_share(weight, 'target') if weight else '<td>–</td>'}</tr>"
    )


def _share_text(value: float) -> str:
    """A probability as HTML: `0.973`, or that it is less than 0.001 or more than 0.999."""
    if 0 < value < 0.001:
        return "&lt;0.001"
    if 0.9995 <= value < 1:
        return "&gt;0.999"
    return f"{value:.3f}"


def _mask(cell: str, masked: bool) -> str:
    """The cell of the alpha mask, which a target without one has no use for."""
    return cell if masked else ""


def _code(token: str) -> str:
    return f'<code class="lv-token" dir="ltr">{html.escape(token_name(token))}</code>'
