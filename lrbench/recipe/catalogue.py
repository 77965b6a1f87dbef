"""The known suites of benchmarks. Names only: the tasks themselves are in `lrbench.evaluation`."""

from __future__ import annotations

SUITES: dict[str, tuple[str, ...]] = {
    "embedded7": ("multi_step", "formal", "distractor", "one_step", "formula", "hard", "choice"),
    "math7": ("gsm8k", "math", "svamp", "asdiv", "minerva_math", "olympiadbench", "mmlu_stem"),
    "mmlu_stem_5shot": ("mmlu_stem",),
}
