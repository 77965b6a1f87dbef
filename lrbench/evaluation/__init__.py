"""The benchmarks: tasks, grading, running lm-eval, statistics."""
