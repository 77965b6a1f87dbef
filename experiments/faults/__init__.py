"""The fault campaign: what lrbench does when it is killed, fed nonsense, damaged, cramped or lied to.

`python -m experiments.faults [KIND...]` tries the commands as a user meets them, each in a process of its
own, and holds every one of them against what must be true afterwards. `docs/reliability.md` says what is
tried and what the last full run found; `tests/faults/` is a handful of the same.
"""
