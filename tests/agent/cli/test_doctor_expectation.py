"""What doctor promises of the default model, against the model's own file."""

from __future__ import annotations

import pytest
import torch

from rnj_agent.agent.cli.doctor.expectation import INT8, STORED, check_expectation, speed, window
from rnj_agent.runtime.catalogue import CATALOGUE
from rnj_agent.runtime.kernels.cpu.library import kernels
from rnj_agent.runtime.kv_cache.storage import kv_bytes_per_token
from rnj_agent.runtime.memory_budget import DEFAULT_CONTEXT, RESERVE_BYTES, weights_size
from rnj_agent.runtime.models.loading import default_quant
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.real_models import QWEN, model_file


def test_the_estimate_is_a_range_and_called_one() -> None:
    check = speed(STORED, bytes_per_s=20e9)
    low, high = check.detail.split()[1].split("-")
    assert 0 < int(low) < int(high)
    assert "an estimate" in check.detail
    assert "qwen2.5-coder-1.5b" in check.detail


def test_a_slow_machine_gets_decimals() -> None:
    assert "about 0.1-0.2 tokens/s" in speed(INT8, bytes_per_s=1e9).detail


def test_the_window_is_what_the_memory_leaves() -> None:
    def detail(kv_tokens: int) -> str:
        kv_bytes = kv_tokens * STORED.kv_bytes_per_token
        available_bytes = STORED.weights_bytes + RESERVE_BYTES + kv_bytes
        return window(STORED, available_bytes=available_bytes).detail

    assert detail(10**6).startswith(f"{DEFAULT_CONTEXT} tokens fit")
    assert detail(9000).startswith("9000 tokens fit")
    assert detail(100).startswith("only 100 tokens fit")
    assert window(STORED, available_bytes=0).status == "warning"


def test_this_machine_gets_all_three_lines() -> None:
    checks = check_expectation()
    assert [check.name for check in checks] == ["bandwidth", "speed", "window"]
    assert all(check.detail for check in checks)


@pytest.mark.weights
@pytest.mark.skipif(not kernels(), reason="no compiled kernels: sudo apt-get install -y gcc")
def test_the_figures_are_those_of_the_file() -> None:
    checkpoint = open_checkpoint(model_file(QWEN))
    quant = default_quant(checkpoint, torch.bfloat16, "cpu")
    total_bytes, pass_bytes = weights_size(checkpoint, torch.bfloat16, quant)
    assert total_bytes == pytest.approx(STORED.weights_bytes, rel=0.01)
    assert pass_bytes == pytest.approx(STORED.decode_bytes, rel=0.01)
    assert STORED.kv_bytes_per_token == kv_bytes_per_token(
        checkpoint.config, torch.bfloat16, "auto"
    )
    assert STORED.max_window == min(DEFAULT_CONTEXT, CATALOGUE[STORED.name].context_window or 0)
    checkpoint.close()
