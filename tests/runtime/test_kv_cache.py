from __future__ import annotations

import pytest
import torch

from rnj_agent.runtime.errors import EngineError
from rnj_agent.runtime.kv_cache import KVCache
from rnj_agent.runtime.weights.hf_config import config_from_hf
from tests.runtime.model_checkpoints import llama_config

CONFIG = config_from_hf(llama_config())


def new_cache(capacity: int = 8) -> KVCache:
    return KVCache(CONFIG, capacity=capacity, dtype=torch.float32)


def test_has_room_for_its_capacity_in_every_layer() -> None:
    cache = new_cache()
    assert len(cache.keys) == len(cache.values) == CONFIG.num_hidden_layers
    assert cache.keys[0].shape == (CONFIG.num_key_value_heads, 8, CONFIG.head_dim)
    assert cache.size_bytes == 2 * 2 * 2 * 8 * 16 * 4


def test_writes_do_not_count_before_they_are_complete() -> None:
    cache = new_cache()
    keys = torch.randn(2, 3, 16)
    cache.write(0, keys, keys)
    assert cache.length == 0
    cache.advance(3)
    assert cache.length == 3
    assert torch.equal(cache.keys[0][:, :3], keys)


def test_a_cut_prefix_keeps_its_content() -> None:
    cache = new_cache()
    keys = torch.randn(2, 6, 16)
    cache.write(0, keys, keys)
    cache.advance(6)
    cache.truncate(4)
    more = torch.randn(2, 2, 16)
    cache.write(0, more, more)
    cache.advance(2)
    assert torch.equal(cache.keys[0][:, :6], torch.cat((keys[:, :4], more), dim=1))


def test_says_what_does_not_fit() -> None:
    cache = new_cache()
    cache.advance(6)
    cache.check_room(2)
    with pytest.raises(EngineError, match="6 cached and 3 new tokens exceed the cache's 8"):
        cache.check_room(3)
