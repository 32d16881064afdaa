"""Engines over tiny checkpoints, with pools small enough to run full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from rnj_agent.runtime.completion import CompletionRequest, Reply, ReplyDelta
from rnj_agent.runtime.engine import Engine, EngineOptions
from rnj_agent.runtime.kv_cache.cache import KVCache
from rnj_agent.runtime.model_runner import CausalLM
from rnj_agent.runtime.models import load_model
from rnj_agent.runtime.outputs import TokenOutput
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.tokenizer import Tokenizer
from rnj_agent.runtime.weights.checkpoint import open_checkpoint

BLOCK_SIZE = 16
OPTIONS = EngineOptions(
    max_model_len=1536,
    max_num_seqs=4,
    prefill_chunk=512,
    prefill_chunk_beside_decodes=32,
    speculation=False,
)


def small_engine(
    path: Path,
    *,
    eos_ids: frozenset[int] = frozenset(),
    options: EngineOptions = OPTIONS,
    num_blocks: int | None = None,
    wrap: type[CausalLM] | None = None,
    device_batches: bool = False,
) -> Engine:
    """In float32; the pool holds two windows unless ``num_blocks`` says otherwise.

    With ``device_batches`` everything runs as on a GPU.
    """
    torch.set_num_threads(1)  # matrices so small are not worth a second thread's waiting
    model = load_model(open_checkpoint(path), dtype=torch.float32)
    model.device_batches = device_batches
    if num_blocks is None:
        num_blocks = 2 * options.max_model_len // BLOCK_SIZE
    storage = model.new_storage(num_blocks=num_blocks, block_size=BLOCK_SIZE)
    return Engine(
        model if wrap is None else wrap(model),  # pyright: ignore[reportCallIssue] - tests' own
        storage=storage,
        kv_cache=KVCache(
            num_blocks=num_blocks, block_size=BLOCK_SIZE, copy_block=storage.copy_block
        ),
        eos_ids=eos_ids,
        options=options,
    )


def with_options(**changes: object) -> EngineOptions:
    return replace(OPTIONS, **changes)  # pyright: ignore[reportArgumentType] - names are checked


def reply(engine: Engine, prompt_ids: Sequence[int], params: SamplingParams) -> list[TokenOutput]:
    outputs = engine.generate(prompt_ids, params)
    return [output for output in outputs if isinstance(output, TokenOutput)]


def token_ids(outputs: Sequence[TokenOutput]) -> list[int]:
    return [output.token_id for output in outputs]


def prompt(length: int, *, seed: int = 0) -> list[int]:
    """Random bytes; a shorter one is the beginning of a longer one."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (2048,), generator=generator).tolist()[:length]


def complete(
    engine: Engine, tokenizer: Tokenizer, request: CompletionRequest
) -> Iterator[ReplyDelta]:
    """One reply of a request, without a worker."""
    text = Reply(tokenizer, request)
    for output in reply(engine, request.prompt_ids, request.params):
        yield (delta := text.add(output))
        if delta.finish_reason is not None:
            return
