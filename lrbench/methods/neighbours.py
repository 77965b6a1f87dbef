"""Related systems as arms that one can name, each with its source and what is not as there.

Their cards are docs/methods.md.
"""

from __future__ import annotations

from lrbench.methods.answers import Route, Routing
from lrbench.methods.changes import ProjectHeads, Projection, ScaleWeights, Scaling, Vectors
from lrbench.methods.component import EXPERT
from lrbench.methods.continued import RANKS, Continued
from lrbench.methods.ingredients import Ingredients
from lrbench.methods.learnt_routes import TokenRouter
from lrbench.methods.neighbour import TEACHER
from lrbench.methods.neighbour import Neighbour as Neighbour
from lrbench.methods.objectives import Divergence, Dpo, Grpo, Preference
from lrbench.methods.pairs import RightWrong
from lrbench.methods.preset import Preset
from lrbench.methods.rewards import GroupPolicy
from lrbench.methods.selectors import All, Kl
from lrbench.methods.sources import Greedy, Solutions
from lrbench.methods.taking_over import TakeOver, TakingOver
from lrbench.methods.targets import Contrast, OwnToken, Soft
from lrbench.methods.taught import TAUGHT

NEIGHBOURS = (
    Neighbour(
        Preset(
            "grpo",
            None,
            Ingredients(
                source=Solutions(), selector=All(), target=OwnToken(), objective=Grpo(grpo=GroupPolicy())
            ),
            against=("sft", "base"),
        ),
        title="GRPO: rewards for right answers, each against its group",
        source="DeepSeekMath, arXiv 2402.03300; its token mean is that of DAPO, arXiv 2503.14476, and "
        "`entropy_top` that of 80/20, arXiv 2506.01939",
        implemented="sampling in groups by the model in training, advantages by the group's mean and "
        "deviation, one update for every batch, divergence from the untrained expert, a length penalty for "
        "right answers, learning from the most uncertain tokens alone",
        deviations="every batch is learnt from once, so nothing is clipped; LoRA; answers are rewarded by "
        "the grader alone, not for their format",
    ),
    Neighbour(
        Preset(
            "opd",
            None,
            Ingredients(
                source=Greedy(),
                selector=All(),
                target=Soft(use="soft", of=TEACHER),
                objective=Divergence(divergence="reverse", online=1),
            ),
            against=("sft", "base"),
        ),
        title="On-policy distillation: a teacher's distributions along what the student writes",
        source='GKD, arXiv 2306.13649; MiniLLM, arXiv 2306.08543; "On-policy distillation", Thinking '
        "Machines Lab, 2025",
        implemented="the student writes anew for every update, a teacher under the recipe's `models` reads "
        "that, and the reverse divergence is over whole distributions at every token",
        deviations="the student writes greedily, where the published ones sample (`source: {writer: expert, "
        "temperature: 1}` does); tokens that the teacher gives less than `divergence.alpha_min` times its "
        "largest probability are one outcome; LoRA; no mixture with stored answers",
    ),
    Neighbour(
        Preset(
            "dpo",
            None,
            Ingredients(
                source=RightWrong(pairs="right_wrong", writer=EXPERT, samples=8),
                selector=All(),
                target=OwnToken(),
                objective=Dpo(dpo=Preference()),
            ),
            against=("sft", "base"),
        ),
        title="DPO: right answers preferred to wrong ones of the same problem",
        source="Direct preference optimization, arXiv 2305.18290; pairs of the model's own right and wrong "
        "answers as in Self-Refine tuning, Rollout-DPO of Phi-4-Mini and SPHERE",
        implemented="the sigmoid loss over whole answers against the model as training begins, whose "
        "log-probabilities are computed once; pairs of right and wrong samples, or of a chosen and a "
        "rejected writer",
        deviations="LoRA; at most four pairs of a problem, drawn from all right and wrong ones; no term for "
        "length, whose gap is reported instead",
    ),
    Neighbour(
        Preset(
            "cft",
            None,
            Ingredients(
                source=Solutions(),
                selector=Continued(signal="critical", ranks=RANKS, all=True),
                target=OwnToken(),
            ),
            against=("sft", "base"),
        ),
        title="Critical token fine-tuning: right solutions, the tokens alone that cannot be another",
        source="Enhancing large language model reasoning via selective critical token fine-tuning, arXiv "
        "2510.10974",
        implemented="cross-entropy on those tokens of the expert's own right solutions at which its "
        "second and its third choice, each continued greedily, both lose the right answer",
        deviations="solutions are sampled as those of `sft` are; the loss is a mean over critical "
        "tokens, and how the authors normalise it is not known",
    ),
    Neighbour(
        Preset(
            "divergent",
            None,
            Ingredients(source=Greedy(), selector=Continued(signal="divergent"), target=Contrast()),
            against=("sft", "base"),
        ),
        title="Divergent tokens of R2R, as steps to learn from",
        source="R2R, arXiv 2505.21600",
        implemented="the steps at which the other model's first choice, continued by the expert, "
        "leads to another answer than the rollout's own; what is learnt there is the "
        "paper's contrast",
        deviations="R2R trains a router by these labels, between its small and a large model, and a "
        "third one judges sentences; here answers of finished rollouts are compared, and "
        "the other model is the amateur unless `over` names one",
    ),
    Neighbour(
        Preset(
            "vectors",
            None,
            Ingredients(source=Greedy(), selector=Kl(), target=Contrast(), change=Vectors()),
            against=("lightr", "sft", "base"),
        ),
        title="Small vectors: one steering vector a layer, and nothing else, learns",
        source="Small Vectors, Big Effects, arXiv 2509.06608",
        implemented="a vector as wide as the model for each layer, added to the residual stream with what "
        "the layer's MLP gives; they begin at zero, and any source, target or objective trains them",
        deviations="the preset learns what the paper's arm learns and not from rewards; `like: grpo` with "
        "`change: vectors` does. Where a norm follows the MLP, as in Gemma 2, the vector is added before it",
    ),
    Neighbour(
        Preset(
            "neuro",
            None,
            against=("base",),
            edit=ScaleWeights(
                scale_weights=Scaling.model_validate(
                    {"by": 1.1, "for": "train", "against": "general", "share": 0.01}
                )
            ),
        ),
        title="MathNeuro: weights that matter for mathematics and for nothing else, scaled",
        source="MathNeuro, arXiv 2410.16930, from its formula alone",
        implemented="a weight's size times the norm of its input over two sets of texts; of every matrix the "
        "top share by the first and not by the second is multiplied; `drawn: SEED` is the control, as many "
        "by chance",
        deviations="texts are the expert's own greedy rollouts of the training problems, and sentences of "
        "small talk; the top is taken in every matrix by itself, embeddings and output layer left out",
    ),
    Neighbour(
        Preset(
            "thinkedit",
            None,
            against=("base",),
            edit=ProjectHeads(project_heads=Projection(short=100, long=1000, heads=20)),
        ),
        title="ThinkEdit: heads that make answers short lose that direction",
        source="ThinkEdit, arXiv 2503.22048",
        implemented="the mean of what stands behind the attention, of long less short texts; the heads that "
        "add most along the opposite, over the tokens of short ones; a full projection of their output",
        deviations="texts are the expert's own greedy rollouts, so `sampling.max_new_tokens` has to let them "
        "grow long, and lengths are of whole answers; there is no strength between nothing and all",
    ),
    Neighbour(
        Preset("take_over", None, answer=TakeOver(take_over=TakingOver(by=TEACHER)), against=("base",)),
        title="Speculative Thinking: a larger model takes over where a smaller one affirms, doubts or "
        "checks something",
        source="Speculative Thinking, arXiv 2504.12329; constants and loop are those of the authors' public "
        "settings and code",
        implemented="after a text that ends a paragraph the own model drafts `draft` tokens; where they "
        "hold a cue, the other model writes as many in their place, and `verify` more where those check "
        "something; after so many doubting paragraphs it looks back, beginning with a given text, and has "
        "more patience and more tokens each time",
        deviations="the variants in which the own draft may stay, a text is put before each paragraph, or "
        "the larger model begins, are left out; a draft without a cue is kept and not written again, which "
        "is the same where answers are greedy",
    ),
    Neighbour(
        Preset(
            "r2r",
            None,
            answer=Route(route=Routing(to=TEACHER, router=TokenRouter())),
            against=("base",),
        ),
        title="R2R: a larger model writes the tokens at which a learnt router has a smaller one go astray",
        source="R2R, arXiv 2505.21600; network, inputs and settings are those of the authors' public code",
        implemented="labels of what the larger model writes to the training problems; a network of residual "
        "blocks over the small model's last hidden state, its 100 largest logits and the embedding of the "
        "token that it would write; a bound by recall on problems left for validation, by a share of tokens, "
        "or given",
        deviations="a token is divergent where the answer is another one, and not by what a third model says "
        "of the sentence; a network as wide as the small model, up to the published 1,024, and a learning "
        "rate that is in proportion higher; the rate falls to zero, in place of an early end; both models "
        "read every token",
    ),
    *TAUGHT,
)
