"""Measuring a model on one benchmark, in shards of items."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

from lrbench.evaluation.suites import Suite, benchmark_items, protocol
from lrbench.models.source import LocatedModel, model_identity
from lrbench.pipeline.progress import Progress
from lrbench.pipeline.stages.base import Stage, shards
from lrbench.pipeline.stages.training import TrainedAdapter
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import EngineChoice
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft
from lrbench.store.keys import stable_hash

ITEMS_PER_SHARD = 100


@dataclass(frozen=True)
class BenchmarkScore(Stage):
    """One model's graded completions of one benchmark; `adapter` None measures the expert itself."""

    name: ClassVar[str] = "evaluate"
    version: ClassVar[int] = 1

    arm: str
    expert: LocatedModel
    adapter: TrainedAdapter | None
    suite: Suite
    benchmark: str
    limit: int | None
    engine: EngineChoice

    @property
    def label(self) -> str:
        """What the stage makes, for people."""
        return f"{self.arm} on {self.benchmark} ({self.size} items)"

    @property
    def protocol(self) -> dict[str, Any]:
        """How the score is measured."""
        return protocol(
            self.suite,
            self.benchmark,
            engine=self.engine.name,
            dtype=self.expert.dtype,
            limit=self.limit,
        )

    @cached_property
    def items(self) -> list[dict[str, str]]:
        """The items measured, in order."""
        return benchmark_items(self.benchmark)[: self.limit]

    @property
    def identity(self) -> Mapping[str, Any]:
        """The expert, the protocol and the items themselves."""
        return {
            "expert": model_identity(self.expert),
            "protocol": self.protocol,
            "items": stable_hash(self.items),
        }

    @property
    def inputs(self) -> Mapping[str, Stage]:
        """The adapter, where there is one."""
        return {} if self.adapter is None else {"adapter": self.adapter}

    @property
    def size(self) -> int:
        """Items."""
        return len(self.items)

    @property
    def most_tokens(self) -> int:
        """Every completion at its full length."""
        return self.size * self.suite.max_new_tokens

    def work(
        self, draft: Draft, inputs: Mapping[str, Artifact], workspace: Workspace, progress: Progress
    ) -> dict[str, Any]:
        """Commit one JSONL file of graded items per shard."""
        from lrbench.evaluation.harness import Benchmark
        from lrbench.evaluation.language_model import RenderedModel

        benchmark = Benchmark(self.suite, self.benchmark)
        adapter = inputs["adapter"].directory if "adapter" in inputs else None
        with workspace.expert_with(adapter) as expert:
            model = RenderedModel(
                write=workspace.engine(expert).complete,
                tokenizer=workspace.tokenizer,
                system_prompt=self.suite.system_prompt,
            )
            for name, span in shards(self.size, ITEMS_PER_SHARD):
                if not draft.has(f"{name}.jsonl"):
                    started = time.monotonic()
                    items = benchmark.measure(model, span)
                    text = "".join(json.dumps(item.as_row(), ensure_ascii=False) + "\n" for item in items)
                    draft.commit(
                        f"{name}.jsonl",
                        partial(Path.write_text, data=text, encoding="utf-8"),
                        time.monotonic() - started,
                    )
                progress.advance(len(span))
        rows = [row for name in draft.names for row in _read_rows(draft.path(name))]
        return {
            "n": len(rows),
            "paper": sum(row["paper"] for row in rows),
            "exact": sum(row["exact"] for row in rows),
            "truncated": sum(row["truncated"] for row in rows),
            "tokens": sum(row["tokens"] for row in rows),
        }


def read_items(artifact: Artifact) -> list[dict[str, Any]]:
    """The graded items of a score's artifact, in the benchmark's order."""
    return [row for record in artifact.files for row in _read_rows(artifact.file(record.name))]


def _read_rows(path: Path) -> list[dict[str, Any]]:
    # Only a newline ends a row: completions may hold the other characters that splitlines breaks at.
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
