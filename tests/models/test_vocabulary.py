"""The shared vocabulary is proven id by id."""

from __future__ import annotations

import pytest

from lrbench.errors import VocabularyMismatchError
from lrbench.models.vocabulary import own_vocabulary, prove_shared_vocabulary

TOKENS = {f"t{index}": index for index in range(10)}


def test_models_padded_to_different_sizes_share_their_tokens() -> None:
    shared = prove_shared_vocabulary(TOKENS, 16, dict(TOKENS), 12)
    assert (shared.size, shared.unused) == (10, ())
    assert shared == own_vocabulary(TOKENS, 16)


def test_output_layers_of_151_936_and_152_064_rows_share_the_tokens_of_one_tokenizer() -> None:
    tokens = {f"t{index}": index for index in range(151_665)}
    shared = prove_shared_vocabulary(tokens, 152_064, dict(tokens), 151_936)
    assert (shared.size, shared.unused) == (151_665, ())
    assert shared == own_vocabulary(tokens, 151_936) == own_vocabulary(tokens, 152_064)


def test_ids_without_a_token_are_unused() -> None:
    gaps = {token: index for token, index in TOKENS.items() if index not in (3, 4)}
    assert prove_shared_vocabulary(gaps, 10, gaps, 10).unused == (3, 4)


def test_tokens_beyond_the_output_layer_do_not_count() -> None:
    assert own_vocabulary(TOKENS, 8).size == 8


def test_the_first_differing_ids_are_named() -> None:
    other = dict(TOKENS) | {"t2": 3, "t3": 2}
    with pytest.raises(VocabularyMismatchError) as caught:
        prove_shared_vocabulary(TOKENS, 10, other, 10)
    assert "2 ids stand for different tokens" in str(caught.value)
    assert "id 2: expert 't2', amateur 't3'" in str(caught.value)
    assert str(caught.value).endswith("or compare the tokens that both have with `pair.align: tokens`.")


def test_a_token_only_one_model_has_is_a_difference() -> None:
    with pytest.raises(VocabularyMismatchError, match="id 10: expert nothing, amateur 'extra'"):
        prove_shared_vocabulary(TOKENS, 16, TOKENS | {"extra": 10}, 16)


def test_equal_maps_have_equal_identities_and_others_do_not() -> None:
    assert own_vocabulary(TOKENS, 10).identity == own_vocabulary(dict(reversed(TOKENS.items())), 10).identity
    assert own_vocabulary(TOKENS, 10).identity != own_vocabulary(TOKENS | {"u9": 9}, 10).identity
