"""What scoring needs beyond the models does not grow with the vocabulary or the number of rollouts."""

from __future__ import annotations

import pytest

from tests.commands import said_by

# The largest vocabulary of the published pairs, and rollouts of the paper's length: their logits at once, of
# both models, would be 1.2 GB.
PROGRAM = """
import torch
from experiments.bench.measuring import forget_largest
from transformers import Qwen2Config, Qwen2ForCausalLM
from lrbench.models.pieces import Pieces
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.pipeline.estimating.resident import most_resident
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.scoring import LoadedPair, score_rollouts

SIZE = 152_064
torch.set_num_threads(1)

def model(seed):
    torch.manual_seed(seed)
    shape = dict(hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=1,
                 num_key_value_heads=1, max_position_embeddings=512, tie_word_embeddings=True)
    return Qwen2ForCausalLM(Qwen2Config(vocab_size=SIZE, initializer_range=0.5, **shape)).eval()

pair = LoadedPair(model(0), model(1), SharedVocabulary(SIZE, tuple(range(SIZE - 400, SIZE)), ""))
rollouts = [Rollout(str(i), 0, tuple(range(1, 41)), tuple(range(i, i + 128))) for i in range(8)]
score_rollouts(pair, rollouts[:1], alpha_min=0.05, pieces=Pieces(1024, 1))
forget_largest()
before = most_resident()
scores = score_rollouts(pair, rollouts, alpha_min=0.05)
assert len(scores) == 8 * 128
print(most_resident() - before)
"""


@pytest.mark.slow
def test_scoring_a_large_vocabulary_stays_within_half_a_gigabyte() -> None:
    # One chunk of logits alone is 67 MB: less than that would mean that nothing was measured.
    assert 67_000_000 < int(said_by(PROGRAM)) < 500_000_000
