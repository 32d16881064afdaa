"""The paged KV cache: which tokens are in which block (bookkeeping), and the blocks (tensors)."""

from rnj_agent.runtime.kv_cache.block_table import CachedSequence
from rnj_agent.runtime.kv_cache.cache import KVCache

__all__ = ["CachedSequence", "KVCache"]
