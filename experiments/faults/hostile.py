"""Servers that lie, and model folders made to break what reads them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from experiments.faults.campaign import Kind, Outcome, spread
from experiments.faults.oracle import misbehaved
from experiments.faults.process import command
from experiments.faults.subject import NAME

ROOT = Path(__file__).parents[2]
EXPERT = ROOT / "lrbench" / "embedded" / "models" / "expert"
# One arm, one benchmark, two items.
SMALLEST = """\
name: smallest
pair:
  expert: {{model: {model}}}
data: {{train: embedded/multi_step, problems: 4}}
sampling: {{max_new_tokens: 8}}
training: {{updates: 1, rollouts_per_update: 2}}
arms: [base]
evaluation:
  suite: embedded7
  benchmarks: [one_step]
  limit: 2
{more}runtime: {{threads: 1, batch_size: 1}}
"""
SECONDS = 180.0


class HostileServers(Kind):
    """Every way of answering wrongly, by a server that proves to run the expert."""

    name = "servers"

    def __init__(self) -> None:
        self.port = 0
        self.server: subprocess.Popen[str] | None = None

    def cases(self, tries: int | None, seed: int) -> Sequence[str]:
        """The names of all wrong answers, and a good one."""
        from experiments.faults.server import cases

        return spread(cases(), tries, seed)

    def prepare(self, place: Path) -> None:
        """Start the server; it ends with the campaign, whose pipe it reads."""
        self.server = subprocess.Popen(
            [sys.executable, "-m", "experiments.faults.server"], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self.server.stdout is not None
        self.port = int(self.server.stdout.readline())

    def finish(self) -> None:
        """End the server."""
        if self.server is not None:
            self.server.kill()
            self.server.wait()

    def attempt(self, case: str, folder: Path) -> Outcome:
        """Measure with the server; only the honest one may give a result."""
        url = f"http://127.0.0.1:{self.port}/{quote(case, safe='')}"
        more = f"  engine: {{name: server, url: '{url}', served_as: null}}\n"
        (folder / NAME).write_text(SMALLEST.format(model="embedded/expert", more=more))
        ended = command(["run", NAME], folder, patience=SECONDS)
        honest = case == "good"
        finding = misbehaved(ended, codes=(0,) if honest else (1, 2))
        scores = folder / "runs" / "ledger" / "scores.jsonl"
        if not finding and not honest and scores.exists() and scores.read_bytes():
            finding = "a result was recorded"
        return Outcome(case.partition(":")[0], finding and f"{case}: {finding}", detail=ended.said)


Change = Callable[[Path], object]


def _json(name: str, **fields: Any) -> Change:
    """A file of the folder with fields set, or taken away by None in a list."""

    def change(folder: Path) -> None:
        path = folder / name
        content = json.loads(path.read_text())
        for field, value in fields.items():
            content[field] = value
        path.write_text(json.dumps(content))

    return change


def _text(name: str, data: str | bytes) -> Change:
    return lambda folder: (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def _cut(name: str, share: float) -> Change:
    return lambda folder: (folder / name).write_bytes(
        (folder / name).read_bytes()[: int(share * (folder / name).stat().st_size)]
    )


def _weights(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Change:
    def write(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        save_file(
            change(load_file(folder / "model.safetensors")), folder / "model.safetensors", {"format": "pt"}
        )

    return write


def _header(length: int, header: bytes) -> Change:
    return _text("model.safetensors", length.to_bytes(8, "little") + header)


def _first(change: Callable[[Any], Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def of(tensors: dict[str, Any]) -> dict[str, Any]:
        name = sorted(tensors)[0]
        return {**tensors, name: change(tensors[name]).contiguous()}

    return of


def _replaced(name: str, make: Callable[[Path], object]) -> Change:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return change


def _fifo(path: Path) -> None:
    import os

    os.mkfifo(path)


VALUES = (None, True, 0, -1, 1, 7, 10**9, 10**30, 1.5, "", "x", "\x1b[31m", [], [1], {}, {"type": "linear"})
CONFIG = (
    "architectures",
    "model_type",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "vocab_size",
    "max_position_embeddings",
    "hidden_act",
    "rope_scaling",
    "rope_theta",
    "rope_parameters",
    "rms_norm_eps",
    "tie_word_embeddings",
    "eos_token_id",
    "bos_token_id",
    "pad_token_id",
    "torch_dtype",
    "dtype",
    "auto_map",
    "quantization_config",
    "layer_types",
    "head_dim",
    "sliding_window",
    "attn_implementation",
    "transformers_weights",
    "use_cache",
    "initializer_range",
)
TEMPLATES = {
    "shows nothing": "{{ 'always the same' }}",
    "is empty": "",
    "does not end": "{% for i in range(10**12) %}x{% endfor %}{{ messages[0]['content'] }}",
    "is huge": "{{ messages[0]['content'] * 10**7 }}",
    "multiplies": "{{ 'x' * 10**10 }}{{ messages[0]['content'] }}",
    "divides by zero": "{{ 1 / 0 }}",
    "is no template": "{% for %}{{",
    "looks inside": "{{ ''.__class__.__mro__[1].__subclasses__() }}{{ messages[0]['content'] }}",
    "imports": "{{ cycler.__init__.__globals__.os.system('touch owned') }}{{ messages[0]['content'] }}",
    "raises": "{{ raise_exception('no \x1b[31m') }}",
    "recurses": "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}{{ messages[0]['content'] }}",
    "tells the time": "{{ strftime_now('%f') }}{{ messages[0]['content'] }}",
    "is of undefined things": "{{ nobody.nothing.at_all }}{{ messages[0]['content'] }}",
    "includes": "{% include '/etc/passwd' %}{{ messages[0]['content'] }}",
    "hides the problem": "{{ messages[0]['content'] | length }}",
    "cuts the problem": "{{ messages[0]['content'][:1] }}",
    "has control characters": "\x1b[31m{{ messages[0]['content'] }}\x00",
}
# Whether a folder has to be refused is known for these; any other may also be used as it is.
REFUSED_TEMPLATES = (
    "shows nothing",
    "is empty",
    "does not end",
    "divides by zero",
    "is no template",
    "raises",
    "recurses",
    "hides the problem",
    "cuts the problem",
    "multiplies",
    "includes",
    "imports",
)
FOLDERS: dict[str, Change] = {
    "empty folder": lambda folder: [path.unlink() for path in folder.iterdir()],
    **{
        f"no {name}": _replaced(name, lambda _: None)
        for name in ("config.json", "model.safetensors", "tokenizer.json")
    },
    **{
        f"{name} cut to {share}": _cut(name, share)
        for name in ("config.json", "model.safetensors", "tokenizer.json")
        for share in (0, 0.3, 0.99)
    },
    **{
        f"{name} is {text!r}": _text(name, text)
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json")
        for text in ("null", "[]", "1", "{}", "[" * 100_000, "\xff", '{"a": NaN}')
    },
    "a header of all memory": _header(2**62, b"{}"),
    "a header longer than its file": _header(10**9, b"{}"),
    "a header that is a list": _header(2, b"[]"),
    "offsets beyond the file": _header(
        80, b'{"a": {"dtype": "F32", "shape": [9999999], "data_offsets": [0, 39999996]}}'.ljust(80)
    ),
    "a pickle beside": _text("pytorch_model.bin", b"cos\nsystem\n(S'touch owned'\ntR."),
    "only a pickle": _replaced(
        "model.safetensors",
        lambda path: path.with_name("pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR."),
    ),
    "code beside": _text("modeling_x.py", "open('owned', 'w')"),
    "code named": _json(
        "config.json", auto_map={"AutoModelForCausalLM": "modeling_x.X", "AutoConfig": "modeling_x.X"}
    ),
    "NaN weights": _weights(_first(lambda tensor: tensor * float("nan"))),
    "infinite weights": _weights(_first(lambda tensor: tensor + float("inf"))),
    "a tensor of another shape": _weights(_first(lambda tensor: tensor[: len(tensor) // 2].clone())),
    "a tensor of integers": _weights(_first(lambda tensor: tensor.long())),
    "a tensor missing": _weights(lambda tensors: dict(list(tensors.items())[1:])),
    "a tensor too many": _weights(
        lambda tensors: {**tensors, "nobody.weight": next(iter(tensors.values())).clone()}
    ),
    "no tensor": _weights(lambda _: {}),
    "an index of nothing": _text("model.safetensors.index.json", '{"weight_map": {}}'),
    "an index that leads out": _text(
        "model.safetensors.index.json", '{"weight_map": {"a": "../../../etc/passwd"}}'
    ),
    "weights in a FIFO": _replaced("model.safetensors", _fifo),
    "config in a FIFO": _replaced("config.json", _fifo),
    "a FIFO beside": lambda folder: _fifo(folder / "fifo"),
    "weights of /dev/zero": _replaced("model.safetensors", lambda path: path.symlink_to("/dev/zero")),
    "config of /dev/zero": _replaced("config.json", lambda path: path.symlink_to("/dev/zero")),
    "tokenizer of /dev/zero": _replaced("tokenizer.json", lambda path: path.symlink_to("/dev/zero")),
    "a link in a circle": lambda folder: (folder / "loop").symlink_to(folder),
    "config a folder": _replaced("config.json", lambda path: path.mkdir()),
    "many tokens": _text("added_tokens.json", json.dumps({f"t{n}": 10**6 + n for n in range(1000)})),
}
REFUSED_FOLDERS = (
    "empty folder",
    "no config.json",
    "no model.safetensors",
    "no tokenizer.json",
    "only a pickle",
    "no tensor",
    "a header of all memory",
    "a header longer than its file",
    "offsets beyond the file",
    "a tensor missing",
    "weights of /dev/zero",
    "config of /dev/zero",
    "weights in a FIFO",
    "config in a FIFO",
    "config a folder",
)


class HostileModels(Kind):
    """Folders that differ in one thing from the embedded expert's."""

    name = "models"
    full = 200

    def cases(self, tries: int | None, seed: int) -> Sequence[tuple[str, str, int]]:
        """(what, which, number of a value) of every folder."""
        return spread(
            [
                *(("config", name, number) for name in CONFIG for number in range(len(VALUES))),
                *(
                    ("generation", name, number)
                    for name in ("eos_token_id", "max_length", "do_sample", "temperature")
                    for number in range(len(VALUES))
                ),
                *(
                    ("tokenizer", name, number)
                    for name in (
                        "eos_token",
                        "bos_token",
                        "tokenizer_class",
                        "model_max_length",
                        "chat_template",
                        "auto_map",
                        "added_tokens_decoder",
                    )
                    for number in range(len(VALUES))
                ),
                *(("template", name, 0) for name in TEMPLATES),
                *(("folder", name, 0) for name in FOLDERS),
            ],
            tries,
            seed,
        )

    def attempt(self, case: tuple[str, str, int], folder: Path) -> Outcome:
        """Check, plan and run a recipe with the folder as its expert."""
        sort, which, number = case
        model = Path(shutil.copytree(EXPERT, folder / "model"))
        files = {
            "config": "config.json",
            "generation": "generation_config.json",
            "tokenizer": "tokenizer_config.json",
        }
        if sort in files:
            path = model / files[sort]
            if not path.exists():
                path.write_text("{}")
            _json(files[sort], **{which: VALUES[number]})(model)
            which = f"{which} {VALUES[number]!r}"
        elif sort == "template":
            _text("chat_template.jinja", TEMPLATES[which])(model)
        else:
            FOLDERS[which](model)
        (folder / NAME).write_text(SMALLEST.format(model="./model", more=""))
        refused = (sort == "template" and which in REFUSED_TEMPLATES) or (
            sort == "folder" and which in REFUSED_FOLDERS
        )
        said, finding, codes = [], "", []
        for words in (["check", NAME], ["plan", NAME], ["run", NAME]):
            ended = command(words, folder, patience=SECONDS)
            said.append(f"{words[0]} ({ended.code}): {ended.said}")
            codes.append(ended.code)
            found = misbehaved(ended, codes=(0, 1, 2))
            finding = finding or (found and f"{words[0]}: {found}")
        if not finding and refused and codes[2] == 0:
            finding = "measured although it has to be refused"
        if not finding and list(folder.rglob("owned")):
            finding = "code of the folder was run"
        return Outcome(sort, finding and f"{which}: {finding}", detail="\n".join(said))
