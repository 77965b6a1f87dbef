"""A merge of what a tied output layer learnt is expert and adapter, and a refusal says what helps."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lrbench.errors import RunError
from lrbench.models.loading import load_model
from lrbench.models.source import locate
from lrbench.pipeline.exporting.gate import (
    ADAPTER_ALONE,
    FLOAT32_BOUNDS,
    WIDER,
    Agreement,
    check_written,
    require,
)
from lrbench.pipeline.exporting.merging import write_merged
from lrbench.recipe.schema import Lora, ModelReference
from lrbench.store.keys import FileHashes
from lrbench.training.adapters import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    attach_adapter,
    write_adapter_config,
    write_adapter_weights,
)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_adapter_of_a_tied_output_layer_is_merged_and_passes_the_gate(
    local_pair: tuple[Path, Path], tmp_path: Path, dtype: str
) -> None:
    expert = locate(ModelReference(model=str(local_pair[0])), FileHashes())
    lora = Lora(r=2, dropout=0.0, target_modules=("lm_head",))
    adapted = attach_adapter(load_model(expert, torch.device("cpu")), lora, seed=0)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.2)
    write_adapter_config(tmp_path / CONFIG_FILE, lora, expert.name, adapted)
    write_adapter_weights(tmp_path / WEIGHTS_FILE, adapted)
    items = [{"problem": "What is 2 + 3?", "completion": "2 + 3 = 5. The answer is 5."}] * 4
    merged = tmp_path / "merged"
    yardstick = write_merged(expert, tmp_path, merged, dtype, items, None)
    assert yardstick.bounds.allow(check_written(merged, dtype, yardstick))


def test_a_refused_merge_says_what_can_be_done() -> None:
    far = Agreement(difference=5.0, top1=0.5, positions=96)
    for advice in (WIDER, ADAPTER_ALONE):
        with pytest.raises(
            RunError, match="is not expert and adapter: its logits differ by up to 5 "
        ) as said:
            require(far, FLOAT32_BOUNDS, "as written", advice)
        assert str(said.value).endswith(advice)
    assert "--dtype" not in ADAPTER_ALONE
