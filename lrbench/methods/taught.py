"""Related systems that differ in who writes what is learnt from, and in what is made of it.

Those that learn from better models speak of them as `teacher` and `mentor`: a recipe that has such an arm
says under `models` who these are.
"""

from __future__ import annotations

from lrbench.methods.attempts import Attempt
from lrbench.methods.checks import Agreement, Right
from lrbench.methods.component import AMATEUR, ARM, EXPERT
from lrbench.methods.ingredients import Ingredients
from lrbench.methods.neighbour import TEACHER, Neighbour
from lrbench.methods.objectives import Forward, Objective, Tempered
from lrbench.methods.preset import Preset
from lrbench.methods.selector import Selector
from lrbench.methods.selectors import All
from lrbench.methods.shapes import (
    AnswerOnly,
    Correction,
    Equations,
    LongerThan,
    Prune,
    PruneByTrying,
    WithAttempts,
)
from lrbench.methods.source import Source
from lrbench.methods.targets import Mixture as MixedTarget
from lrbench.methods.targets import OwnToken, Soft, Target
from lrbench.methods.writers import Acceptance, Mixture, Share, Written

# What a recipe calls a second model that some of these arms learn from.
MENTOR = "mentor"
TAUGHT_RIGHT = Written(writer=TEACHER, samples=4, check=Right())
EXPLAINING = "You are a careful teacher. Explain every step in a sentence of its own, then give the answer."


def _preset(
    name: str,
    source: Source,
    target: Target | None = None,
    objective: Objective | None = None,
    selector: Selector | None = None,
) -> Preset:
    """An arm that learns every token of its source, unless it says otherwise."""
    ingredients = Ingredients(
        source=source,
        selector=selector or All(),
        target=target or OwnToken(),
        objective=objective or Forward(),
    )
    return Preset(name, None, ingredients, against=("sft", "base"))


def _soft(of: str, weight: float, temperature: float = 1.0, top_k: int | None = None) -> Soft:
    """All that is stored of a model; what is not is told, and never a reason to stop."""
    return Soft(
        use="soft", of=of, weight=weight, temperature=temperature, top_k=top_k, truncate=top_k is not None
    )


TAUGHT = (
    Neighbour(
        _preset("kd", TAUGHT_RIGHT),
        title="Fine-tune-CoT: the right answers of a teacher",
        source="Fine-tune-CoT, arXiv 2212.10071; Teaching small language models to reason, arXiv 2212.08410, "
        "with one answer to a problem",
        implemented="the teacher samples four answers to every problem, and every token of those that are "
        "finished and right is learnt",
        deviations="the teacher is asked as the expert is, with no examples before the question; LoRA",
    ),
    Neighbour(
        _preset("weak", Written(writer=AMATEUR, temperature=0.0)),
        title="Weak to strong: the expert learns what the amateur writes",
        source="Weak-to-strong generalization, arXiv 2312.09390",
        implemented="the amateur's greedy answers, right or not, are learnt token by token",
        deviations="answers and not labels of classes; without the paper's confidence loss",
    ),
    Neighbour(
        _preset(
            "mentor",
            TAUGHT_RIGHT,
            MixedTarget.model_validate([OwnToken(use="own_token", weight=0.7), _soft(MENTOR, 0.3, 2.0)]),
            Tempered(temperature=2.0),
        ),
        title="Mentor-KD: the right answers of a teacher, and a mentor's soft labels along them",
        source="Mentor-KD, arXiv 2410.09037; its code has a temperature of 2 and a weight of 0.3",
        implemented="cross-entropy of the teacher's tokens, 0.7, and KL(mentor || model) at temperature 2 on "
        "both sides, 0.3",
        deviations="both are means over tokens, where the code sums the second over padding too; the mentor "
        "is a model that is there and writes nothing, where the paper trains it and has it write too",
    ),
    Neighbour(
        _preset(
            "tiny",
            TAUGHT_RIGHT,
            MixedTarget.model_validate(
                [OwnToken(use="own_token", weight=0.5), _soft(TEACHER, 0.3), _soft(MENTOR, 0.2)]
            ),
        ),
        title="TinyLLM: several teachers",
        source="TinyLLM, arXiv 2402.04616",
        implemented="cross-entropy of the teacher's right answers, 0.5, and the distributions of teacher and "
        "mentor along them, 0.3 and 0.2",
        deviations="the paper's teachers each write rationales, which are learnt as further tasks; here one "
        "writes, and both are read",
    ),
    Neighbour(
        _preset("specialise", TAUGHT_RIGHT, _soft(TEACHER, 1.0, top_k=5)),
        title="Specializing: the five likeliest tokens of a teacher along its own right answers",
        source="Specializing smaller language models, arXiv 2301.12726",
        implemented="KL(teacher || model) over the teacher's five likeliest tokens, renormalised; what that "
        "costs elsewhere with `measure.forgetting`",
        deviations="one format of data where the paper mixes four; tokens of another vocabulary are not "
        "matched by edit distance",
    ),
    Neighbour(
        _preset(
            "mix",
            Mixture(
                mix=(
                    Share(writer=TEACHER, check=Right(), share=1.0),
                    Share(writer=MENTOR, check=Right(), share=4.0),
                )
            ),
        ),
        title="Mix Distillation: one part of a larger teacher's answers and four of a smaller one's",
        source="Small models struggle to learn from strong reasoners, arXiv 2502.12143; 1 : 4 as its code "
        "has it",
        implemented="right answers of `teacher` and `mentor` in the proportion 1 : 4, each problem of one",
        deviations="the paper mixes long answers with short ones, or those of a larger teacher with those of "
        "a smaller one; which it is, is said by who the two are",
    ),
    Neighbour(
        _preset(
            "explain",
            Mixture(
                mix=(
                    Share(writer=TEACHER, check=Right(), share=1.0),
                    Share(writer=TEACHER, check=Right(), shape=AnswerOnly(), share=1.0),
                )
            ),
        ),
        title="Explanations: half with them, half the answer alone",
        source="Explanations from large language models make small reasoners better, arXiv 2210.06726",
        implemented="right answers of a teacher, every other problem's shortened to its final answer",
        deviations="the paper tells the two apart by a word in the prompt, as tasks of their own",
    ),
    Neighbour(
        _preset("eotd", Written(writer=TEACHER, samples=4, check=Right(), shape=Equations())),
        title="Equations alone",
        source="EoTD, arXiv 2401.11864; Small language models are equation reasoners, arXiv 2409.12393",
        implemented="of a teacher's right answers the equations, one a line, and the final answer",
        deviations="equations are found in ordinary answers; the teacher is not asked for a system of them, "
        "and no solver is called",
    ),
    Neighbour(
        _preset("concise", Written(writer=TEACHER, samples=4, check=Right(), shape=Prune())),
        title="Answers without what they do not need",
        source="Efficient long CoT reasoning in small language models, arXiv 2505.18440, which prunes the "
        "steps of long answers",
        implemented="of a teacher's right answers the sentences whose numbers the final answer goes back to",
        deviations="what is needed is told by which numbers are named, not by whether a model still comes to "
        "the answer without it; no preference training",
    ),
    Neighbour(
        _preset(
            "efficient", Written(writer=TEACHER, samples=4, check=Right(), shape=PruneByTrying(prune="end"))
        ),
        title="Answers cut as early as the expert can end them",
        source="Efficient long CoT reasoning in small language models, arXiv 2505.18440",
        implemented="of a teacher's right answers as many lines as the expert needs to come to the right "
        "answer, found by halving, and then the answer's own end",
        deviations="the expert goes on from the first token of that end, and is asked as it was before "
        "training; that the shorter answer is preferred to the whole one is another arm's to learn",
    ),
    Neighbour(
        _preset("sert", Written(writer=EXPERT, temperature=1.3, shape=LongerThan(longer_than=24))),
        title="SERT: the expert's own longer answers",
        source="SERT, self-enhanced reasoning training, arXiv 2502.12744",
        implemented="the expert samples at temperature 1.3, and answers of more than 24 tokens are learnt, "
        "right or not",
        deviations="by length alone, where the paper filters by rules for repetition and by perplexity too",
    ),
    Neighbour(
        _preset("rstar", Written(writer=EXPERT, samples=4, check=Agreement(agree_with=AMATEUR))),
        title="rStar's mutual agreement, as a filter",
        source="rStar, arXiv 2408.06195",
        implemented="answers of the expert that the amateur comes to as well, when it goes on from their "
        "first half",
        deviations="whole answers are sampled, without a tree search, and what is agreed with is learnt, "
        "where the paper chooses among answers by it",
    ),
    Neighbour(
        _preset("selfcorrect", Written(writer=EXPERT, samples=8, shape=Correction())),
        title="Small models that correct themselves: right behind wrong",
        source="Small language models need strong verifiers to self-correct reasoning, arXiv 2404.17140",
        implemented="of eight answers of the expert each right one stands behind a wrong one to the same "
        "problem, and is learnt",
        deviations="the paper has critiques written and filtered in between, and a verifier that says when "
        "to correct",
    ),
    Neighbour(
        _preset(
            "pam",
            Written(writer=EXPERT, samples=4, shape=WithAttempts()),
            selector=Attempt(signal="attempt"),
        ),
        title="Partial answer masking: an answer corrects itself, and its wrong attempt is not learnt",
        source="Small language model can self-correct, arXiv 2401.07301",
        implemented="the expert's own right answers as they are, and its wrong ones, which then say so and "
        "go on with a right one; all tokens are learnt but those of the wrong attempt",
        deviations="the right answer behind a wrong one is another sample to the same problem, and one fixed "
        "sentence says that it was wrong; behind a right one nothing says that it is",
    ),
    Neighbour(
        _preset(
            "orca",
            Written(writer=TEACHER, samples=1, check=Right(), system_prompt=EXPLAINING, forget_prompt=True),
        ),
        title="Orca 2's prompt erasure",
        source="Orca 2, arXiv 2311.11045",
        implemented="a teacher answers under a system prompt that says how, and what is right of that is "
        "learnt without it",
        deviations="one strategy for all problems, where the paper chooses one for each kind of task",
    ),
    Neighbour(
        _preset(
            "rsd",
            Written(
                writer=TEACHER, samples=1, temperature=0.7, accept=Acceptance(above=0.01, tries=5, top=20)
            ),
        ),
        title="Reverse speculative decoding: a teacher's answers in words that the expert would use",
        source='Reverse speculative decoding, of "In their own words: reasoning traces tailored for small '
        'models make them better reasoners", arXiv 2509.22230, as a public script of it has the threshold of '
        "0.01, 5 tries, the 20 likeliest and the temperature of 0.7",
        implemented="the teacher draws every token, and the expert takes it where it gives it 1% and has it "
        "among its 20 likeliest; after five draws it draws one of these itself",
        deviations="without `top_p` 0.95, which its `source` takes; right answers and wrong ones are learnt "
        "unless `check` says otherwise",
    ),
    Neighbour(
        _preset("redistil", Written(writer=f"{ARM}grpo", samples=2)),
        title="Re-distillation: the untouched expert learns what its rewarded self writes",
        source="Towards revealing the effectiveness of small-scale fine-tuning in R1-style reinforcement "
        "learning, arXiv 2505.17988",
        implemented="two sampled answers of the expert with the adapter of the arm `grpo` to every problem, "
        "right or not, are learnt by a fresh adapter",
        deviations="how many problems is for `problems` to say",
    ),
)
