"""Attention over the paged cache, all of it read from tensors on the device: in plain PyTorch.

The twin of the Triton kernels (``kernels/gpu``); takes their place on a GPU without Triton. No
value is brought to the host and no shape depends on one, so its passes may be captured in CUDA
graphs. Not covered: speed; it computes all rows and keys that the pass's bounds allow.

B sequences, T rows of all, R rows of a sequence at most, S tokens of a sequence at most,
H query heads, K key/value heads, G = H / K, D head size.
"""

from __future__ import annotations

import importlib.util
import logging
from functools import cache

import torch
from torch import Tensor

from rnj_agent.runtime.config import LayerType, ModelConfig
from rnj_agent.runtime.device_batch import DeviceBatch
from rnj_agent.runtime.kv_cache.storage import KVStorage
from rnj_agent.runtime.layers.attention_backend import DeviceAttention, PassAttention, window_of
from rnj_agent.runtime.layers.head_writer import HeadWriter, write_heads

logger = logging.getLogger(__name__)

MAX_ROWS = 128
"""Of a product: so that the scores of long prompts fit the memory."""


@cache
def has_triton() -> bool:
    """Whether Triton is installed; said in one line where it is missed."""
    is_installed = importlib.util.find_spec("triton") is not None
    if not is_installed:
        logger.warning("Triton is not installed: attention runs without its kernels, far slower.")
    return is_installed


def device_attention(config: ModelConfig, device: torch.device) -> DeviceAttention:
    """The fastest that runs there."""
    if device.type != "cuda" or not has_triton():
        return DeviceTorchAttention(config)
    from rnj_agent.runtime.layers.triton_attention import TritonAttention

    return TritonAttention(config, device)


class DeviceTorchAttention:
    """Attention by plain matrix products in float32.

    Args:
        config: of the model.
    """

    def __init__(self, config: ModelConfig) -> None:
        self._config = config
        self.write_heads: HeadWriter = write_heads

    def prepare_device(
        self, batch: DeviceBatch, storage: KVStorage, layer_type: LayerType
    ) -> PassAttention:
        return DeviceTorchPass(
            batch,
            storage,
            window=window_of(self._config, layer_type),
            scale=self._config.attention_scale,
            softcap=self._config.attn_logit_softcapping,
        )


class DeviceTorchPass:
    """Attention of one pass.

    Args:
        batch: the new tokens.
        storage: holds all keys, those of the new tokens too.
        window: how many positions, its own included, a token sees; None: all before it.
        scale: multiplies the scores.
        softcap: bounds the scaled scores to +-softcap, smoothly; None: not at all.
    """

    def __init__(
        self,
        batch: DeviceBatch,
        storage: KVStorage,
        *,
        window: int | None,
        scale: float,
        softcap: float | None,
    ) -> None:
        self._storage = storage
        self._scale = scale
        self._softcap = softcap
        device = batch.seq_lens.device
        num_rows = batch.cu_seqlens_q.diff()[:, None]
        row = torch.arange(batch.max_query_len, device=device)
        # rows that a sequence does not have are read from, and written to, one behind the last
        num_all_rows = len(batch.positions)
        self._rows = (batch.cu_seqlens_q[:-1, None] + row).where(row < num_rows, num_all_rows)
        self._positions = batch.seq_lens[:, None] - num_rows + row
        self._seq_lens = batch.seq_lens
        self._window = window
        self._key_positions = torch.arange(batch.max_seq_len, device=device)
        self._block_ids = self._block_table(batch)

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """As ``PassAttention`` says; reads the new tokens from the cache."""
        num_tokens, num_heads, head_dim = queries.shape
        behind = queries.new_zeros((1, num_heads, head_dim))
        padded = torch.cat((queries, behind))
        output = torch.zeros_like(padded)
        for sequence in range(len(self._seq_lens)):
            rows = self._rows[sequence]
            output[rows] = self._sequence(layer, sequence, padded[rows])
        return output[:num_tokens].view(num_tokens, num_heads * head_dim)

    def _sequence(self, layer: int, sequence: int, queries: Tensor) -> Tensor:
        """[R, H, D] to the same."""
        num_tokens = len(self._key_positions)
        read = self._storage.gather(layer, self._block_ids[sequence], num_tokens)
        is_cached = (self._key_positions < self._seq_lens[sequence])[:, None]
        # a weight of 0 does not take away a NaN that lies where nothing was written
        keys = read.keys.float().where(is_cached, 0.0)
        values = read.values.float().where(is_cached, 0.0)
        parts = zip(queries.split(MAX_ROWS), self._positions[sequence].split(MAX_ROWS), strict=True)
        return torch.cat(
            [
                self._attend(rows, keys, values, self._visible(positions))
                for rows, positions in parts
            ]
        )

    def _visible(self, positions: Tensor) -> Tensor:
        """Which keys the rows at these positions see: bool [R, S]."""
        queries = positions[:, None]
        visible = self._key_positions <= queries
        if self._window is not None:
            visible &= self._key_positions > queries - self._window
        return visible

    def _attend(self, queries: Tensor, keys: Tensor, values: Tensor, visible: Tensor) -> Tensor:
        """[R, H, D] to the same; float32 keys and values [K, S, D]; a row without keys gets 0."""
        rows = queries.float().unflatten(1, (len(keys), -1)).permute(1, 2, 0, 3)
        scores = rows @ keys[:, None].transpose(-1, -2) * self._scale
        if self._softcap is not None:
            scores = torch.tanh(scores / self._softcap) * self._softcap
        scores = scores.masked_fill(~visible, float("-inf"))
        largest = scores.amax(dim=-1, keepdim=True).clamp(min=torch.finfo(torch.float32).min)
        weights = (scores - largest).exp()
        total = weights.sum(dim=-1, keepdim=True)
        attended = weights @ values[:, None] / total.where(total != 0, 1.0)
        return attended.permute(2, 0, 1, 3).flatten(1, 2).to(queries.dtype)

    def _block_table(self, batch: DeviceBatch) -> Tensor:
        """int64 [B, blocks of S tokens]; the spare block stands where a sequence has none."""
        block_size = self._storage.block_size
        num_blocks = -(-batch.max_seq_len // block_size)
        assert num_blocks <= batch.block_tables.shape[1]
        begins = torch.arange(num_blocks, device=batch.seq_lens.device) * block_size
        has_block = begins < batch.seq_lens[:, None]
        return batch.block_tables[:, :num_blocks].where(has_block, self._storage.spare_block).long()
