"""Which data sets there are: how many rows, which content, and where each comes from.

A content hash is the SHA-256 over the canonical JSON of `[id, problem, answer, solution]`, a line for
every row. Sources are pinned to commits.
"""

from __future__ import annotations

from dataclasses import dataclass

TOOLKIT = ("QwenLM/Qwen2.5-Math", "a45202bd16f1ec06f433442dc1152d0074773465")
GSM8K = ("openai/grade-school-math", "3101c7d5072418e28b9008a6636bde82a006892c")
TORA = ("microsoft/ToRA", "213c1c995038c73fab10343814df7a42f990f026")
AGENTS = ("aiwaves-cn/agents", "e8c4e3c2d19739d3dff59e577d1c97090cc15f59")


@dataclass(frozen=True)
class Source:
    """A file of a public Git repository at one commit; a path that ends in `/` is a folder."""

    repository: str
    commit: str
    path: str

    @property
    def url(self) -> str:
        """Where the file, or for a folder the archive of the whole repository, is downloaded from."""
        if self.path.endswith("/"):
            return f"https://codeload.github.com/{self.repository}/tar.gz/{self.commit}"
        return f"https://raw.githubusercontent.com/{self.repository}/{self.commit}/{self.path}"


@dataclass(frozen=True)
class DataSet:
    """One split of one benchmark, as the published numbers use it."""

    benchmark: str
    split: str
    rows: int
    content_hash: str
    source: Source

    @property
    def name(self) -> str:
        """Also the name of its file, without `.jsonl` or `.jsonl.gz`."""
        return f"{self.benchmark}_{self.split}"


@dataclass(frozen=True)
class ExampleSet:
    """Worked examples that are shown before a problem; the hash is over `[question, answer]` rows."""

    name: str
    benchmark: str
    rows: int
    content_hash: str
    source: Source


_ALL = (
    DataSet(
        "gsm8k",
        "test",
        1319,
        "017625dc27713f90b82fc74d30e3d49bc3c0cdcb9f394174366fd39b7658c208",
        Source(*TOOLKIT, "evaluation/data/gsm8k/test.jsonl"),
    ),
    DataSet(
        "math",
        "test",
        5000,
        "54b7035fee6089ab058c31da5d1e176aa4072dd84e712f74e64e8cab88d6b1ac",
        Source(*TORA, "src/data/math/test.jsonl"),
    ),
    DataSet(
        "svamp",
        "test",
        1000,
        "422532116c5c5af78de7924f86ccb8dd4e6118191e2cca85bddaf15af930d22c",
        Source(*TOOLKIT, "evaluation/data/svamp/test.jsonl"),
    ),
    DataSet(
        "asdiv",
        "test",
        2215,
        "ac651e2fdc5378f6fc99d1be5c1f578462e6da18d89240ad3e67d4ec2a3b77c5",
        Source(*TOOLKIT, "evaluation/data/asdiv/test.jsonl"),
    ),
    DataSet(
        "minerva_math",
        "test",
        272,
        "9585363c0831a9246c6ca5bf60d60fe6050b9aacc8d8b73a7654ce497b69dc7f",
        Source(*TOOLKIT, "evaluation/data/minerva_math/test.jsonl"),
    ),
    DataSet(
        "olympiadbench",
        "test",
        675,
        "428876897555e09f1d0b62f9e1b69554990b6f9fe3c6f880ec9ddae889a4a81d",
        Source(*TOOLKIT, "evaluation/data/olympiadbench/test.jsonl"),
    ),
    DataSet(
        "mmlu_stem",
        "test",
        3018,
        "f1d74aad52ea4f75d0af15d41dacd085b25a091d5a211055a988c286f343eaa2",
        Source(*TOOLKIT, "evaluation/data/mmlu_stem/test.jsonl"),
    ),
    DataSet(
        "gsm8k",
        "train",
        7473,
        "186264a26f3fb0ffe7053e7ab51722de4ba086fe652ae9dc434b5a1d404dce0a",
        Source(*GSM8K, "grade_school_math/data/train.jsonl"),
    ),
    DataSet(
        "math",
        "train",
        7500,
        "8a53c74f192adc518ff967356e552e1962c09af870a9300cc95433c10089b3ce",
        Source(*AGENTS, "src/agents/datasets/data/math/train/"),
    ),
)
DATA_SETS: dict[str, DataSet] = {data_set.name: data_set for data_set in _ALL}

MMLU_STEM_EXAMPLES = ExampleSet(
    "mmlu_stem_5shot",
    "mmlu_stem",
    5,
    "88aa8f03301412fe005d78f4ff7c06aee624ee4a1c87a74a845c2de860c101b4",
    Source(*TOOLKIT, "evaluation/examples.py"),
)

# What `data.train` calls them.
TRAINING_SETS: dict[str, DataSet] = {
    f"{data_set.benchmark}/{data_set.split}": data_set for data_set in _ALL if data_set.split == "train"
}
