"""The engine `vllm`: vLLM in this process, for one model and any number of its adapters.

vLLM is installed in an environment of its own (`make vllm`) and imported when a model starts.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path
from typing import Any

from lrbench.errors import ModelError, RunError, UserError
from lrbench.methods.answers import OWN
from lrbench.models.fitting import MOST_ROWS
from lrbench.models.source import LocatedModel
from lrbench.recipe.schema import BatchSize
from lrbench.sampling.engines.answered import Answered
from lrbench.sampling.engines.base import GREEDY, NEVER, Decoding, Request, StreamingEngine, TokenRules

# Given only where the user has not: KV-cache space is the user's to raise, everything else is quiet.
# Without a process of its own, vLLM schedules the same requests in the same way every time.
DEFAULTS = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}
# The ranks that vLLM can make room for.
LORA_RANKS = (16, 32, 64, 128, 256, 320, 512)
# Requests that vLLM holds at once, for every row that it runs.
AHEAD = 2
# Share of the GPU memory that is free at the start; the rest is for what PyTorch needs beside it.
FREE_MEMORY_SHARE = 0.9


def require_vllm() -> None:
    """Raise `UserError` where vLLM is not installed."""
    if importlib.util.find_spec("vllm") is None:
        raise UserError(
            "the engine `vllm` needs vLLM, which is not installed in this environment: "
            "pip install 'lrbench[vllm]', in a checkout `make vllm` and .venv-vllm/bin/lrbench, or choose "
            "the engine `hf`."
        )


class VllmModel:
    """A model loaded by vLLM. `engine` gives it as it is or with an adapter."""

    def __init__(
        self,
        model: LocatedModel,
        rules: TokenRules,
        batch_size: BatchSize,
        largest_rank: int,
        cuda_graphs: bool = True,
        tensor_parallel: int = 1,
    ) -> None:
        """Start vLLM, with room for adapters of `largest_rank`; at most `batch_size` rows run at a time.

        On CUDA its forwards are captured as `cuda_graphs`, which takes time once and saves it in every step.
        The layers are split over `tensor_parallel` devices.

        For `auto` as many as lrbench ever writes at once: vLLM itself holds back what its memory has no room
        for. Raises `UserError` without vLLM, `ModelError` when it cannot run the model.
        """
        require_vllm()
        for name, value in DEFAULTS.items():
            os.environ.setdefault(name, value)
        from vllm import LLM

        ranks = [rank for rank in LORA_RANKS if rank >= largest_rank]
        if not ranks:
            raise ModelError(f"vLLM runs adapters up to rank {LORA_RANKS[-1]}, not {largest_rank}")
        self.rules = rules
        self.most_rows = MOST_ROWS if batch_size == "auto" else batch_size
        self._adapters: dict[Path, int] = {}
        try:
            self.llm = LLM(
                str(model.folder),
                dtype=model.dtype,
                # -1: the model's own context, or as much of it as the KV cache holds.
                max_model_len=-1,
                max_num_seqs=self.most_rows,
                seed=0,
                generation_config="vllm",
                # A cached prefix is computed in other pieces than a new one: it would make results
                # depend on what was asked before.
                enable_prefix_caching=False,
                enable_lora=True,
                max_loras=1,
                max_lora_rank=ranks[0],
                skip_tokenizer_init=True,
                trust_remote_code=False,
                disable_log_stats=True,
                use_tqdm_on_load=False,
                tensor_parallel_size=tensor_parallel,
                **_device_settings(cuda_graphs),
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(f"{model.name}: vLLM cannot run it: {_last_line(error)}") from error
        self.running = Running(self.llm)

    def engine(self, adapter: Path | None) -> VllmEngine:
        """The model with the adapter of a folder, or as it is for None."""
        request = None if adapter is None else self._request(adapter)
        return VllmEngine(self.running, self.rules, request, self.most_rows)

    def _request(self, adapter: Path) -> Any:
        from vllm.lora.request import LoRARequest

        # vLLM tells adapters apart by their number alone.
        number = self._adapters.setdefault(adapter, len(self._adapters) + 1)
        return LoRARequest(f"{adapter.name}-{number}", number, str(adapter))


class Running:
    """What one vLLM engine has been asked, whoever asked it: each is given only what is its own."""

    def __init__(self, llm: Any) -> None:
        self._engine = llm.llm_engine
        self._numbers = count()
        self._done: dict[str, Any] = {}

    @property
    def room(self) -> int:
        """Tokens that a row can have, its prompt included."""
        return int(self._engine.model_config.max_model_len)

    def ask(self, prompt: Sequence[int], parameters: Any, adapter: Any) -> str:
        """Have a prompt completed; the number that its output will have."""
        number = f"lrbench-{next(self._numbers)}"
        with _told():
            self._engine.add_request(
                number, {"prompt_token_ids": list(prompt)}, parameters, lora_request=adapter
            )
        return number

    def finished(self, wanted: Collection[str]) -> Iterator[tuple[str, Any]]:
        """Those of the `wanted` outputs that are done, at least one; goes on writing until there is one."""
        while not (found := [number for number in wanted if number in self._done]):
            with _told():
                outputs = self._engine.step()
            self._done |= {output.request_id: output for output in outputs if output.finished}
        for number in found:
            yield number, self._done.pop(number)

    def call_off(self, numbers: Collection[str]) -> None:
        """Forget what nobody waits for any more."""
        self._engine.abort_request([number for number in numbers if number not in self._done])
        for number in numbers:
            self._done.pop(number, None)


@contextmanager
def _told() -> Iterator[None]:
    """What vLLM raises, as an error of the run."""
    try:
        yield
    except (ValueError, RuntimeError) as error:
        raise RunError(f"vLLM stopped: {_last_line(error)}") from error


class VllmEngine(StreamingEngine):
    """A model that vLLM has loaded, with or without an adapter."""

    name = "vllm"

    def __init__(self, running: Running, rules: TokenRules, adapter: Any, most_rows: int) -> None:
        """`most_rows` run at a time."""
        self.running = running
        self.most_rows = most_rows
        self.rules = rules
        self.adapter = adapter

    def rows_at_once(self, requests: Sequence[Request]) -> int:
        """As many as vLLM was started for."""
        return min(self.most_rows, len(requests))

    def stream_requests(
        self, requests: Iterable[tuple[int, Request]], decoding: Decoding
    ) -> Iterator[tuple[int, Answered]]:
        """An answer per request, by its number, each as soon as it is done; vLLM always has some waiting."""
        coming = iter(requests)
        asked: dict[str, tuple[int, Request]] = {}
        try:
            while True:
                for index, request in islice(coming, AHEAD * self.most_rows - len(asked)):
                    self._check_room(request)
                    parameters = self._parameters(decoding, request.max_new_tokens, seed=request.seed)
                    asked[self.running.ask(request.prompt, parameters, self.adapter)] = index, request
                if not asked:
                    return
                for number, output in self.running.finished(asked.keys()):
                    index, request = asked.pop(number)
                    completion = tuple(output.outputs[0].token_ids)
                    self._check_reason(output.outputs[0].finish_reason, request, completion)
                    yield index, Answered.alone(OWN, completion)
        finally:
            self.running.call_off(asked.keys())

    def _check_room(self, request: Request) -> None:
        needed, room = len(request.prompt) + request.max_new_tokens, self.running.room
        if needed > room:
            raise RunError(
                f"vLLM's KV cache holds {room} tokens of one row, and {needed} are needed: set "
                "VLLM_CPU_KVCACHE_SPACE to more GiB, or free memory of the GPU"
            )

    def log_probabilities(self, ids: Sequence[int]) -> list[float]:
        """The log-probability of every id but the first, given those before it; nothing is left out."""
        (found,) = self._read([ids])
        return found

    def log_probabilities_of(
        self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        """As every engine's, of all completions at once."""
        asked = self._askable(prompts, completions)
        found = iter(self._read([[*prompt, *written] for prompt, written in asked if written]))
        return [next(found)[len(prompt) - 1 :] if written else [] for prompt, written in asked]

    def _read(self, texts: Sequence[Sequence[int]]) -> list[list[float]]:
        """The log-probability of every id but the first of each text."""
        numbers = [
            self.running.ask(ids, self._parameters(GREEDY, 1, prompt_logprobs=0), self.adapter)
            for ids in texts
        ]
        done: dict[str, Any] = {}
        while len(done) < len(numbers):
            done.update(self.running.finished(set(numbers) - done.keys()))
        outputs = [done[number] for number in numbers]
        read = [
            [output.prompt_logprobs[place][token].logprob for place, token in enumerate(ids) if place]
            for ids, output in zip(texts, outputs, strict=True)
        ]
        return [self._check_log_probabilities(found, ids) for found, ids in zip(read, texts, strict=True)]

    def _parameters(self, decoding: Decoding, max_new_tokens: int, **further: Any) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        return SamplingParams(
            output_kind=RequestOutputKind.FINAL_ONLY,
            temperature=decoding.temperature,
            top_p=decoding.top_p,
            max_tokens=max_new_tokens,
            stop_token_ids=list(self.rules.stop_ids),
            # Our stop ids hold every end the tokenizer knows; one that vLLM finds by itself is none.
            ignore_eos=True,
            logit_bias=dict.fromkeys(self.rules.no_tokens, NEVER) or None,
            detokenize=False,
            **further,
        )


def _device_settings(cuda_graphs: bool) -> dict[str, Any]:
    import torch

    if not torch.cuda.is_available():
        # A prompt that is read in pieces makes vLLM wind a row's random stream back, which streams on the
        # CPU cannot: vLLM 0.32 then stops.
        return {"enable_chunked_prefill": False, "enforce_eager": True}
    free, total = torch.cuda.mem_get_info()
    share = round(FREE_MEMORY_SHARE * free / total, 3)
    return {"gpu_memory_utilization": share, "enforce_eager": not cuda_graphs}


def _last_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
