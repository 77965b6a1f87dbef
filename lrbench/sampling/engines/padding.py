"""How much of what an engine computed was of use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Padding:
    """Tokens that went through the model, and those of them that a completion needed.

    A completion needs its prompt and all that was written but the last token. The rest is padding: of
    prompts of different lengths, of rows that are done and still computed, of batches that did not fit into
    memory. Likewise for the columns of the cache that attention read.
    """

    computed: int = 0
    needed: int = 0
    read: int = 0
    of_use: int = 0

    def forward(self, rows: int, tokens: int, columns: int) -> None:
        """A forward of `tokens` tokens in each of `rows` rows, which then have `columns` columns of cache."""
        self.computed += rows * tokens
        self.read += rows * columns

    def completion(self, prompt: int, written: int) -> None:
        """A completion is done: `written` tokens after a prompt of `prompt`."""
        self.needed += prompt + written - 1
        # The forward that gives token k reads the prompt and the k tokens before it.
        self.of_use += written * prompt + written * (written - 1) // 2

    def __str__(self) -> str:
        """For people: `7% of 48,210 tokens`."""
        return f"{1 - self.needed / self.computed:.0%} of {self.computed:,} tokens"

    @property
    def facts(self) -> dict[str, str]:
        """What is noted beside an artifact; nothing where no engine of this process computed anything."""
        if not self.computed:
            return {}
        return {"padding": str(self), "padding_of_cache": f"{1 - self.of_use / self.read:.0%}"}
