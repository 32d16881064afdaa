"""From an FP8 checkpoint on the local disk to the first token: seconds, and bytes a second."""

from __future__ import annotations

import gc
import json
import os
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.gpu.engine_steps import subject_options
from benchmarks.gpu.results import StepRecorder
from benchmarks.gpu.step import Workplace, say
from rnj_agent.runtime.bench.synthetic.checkpoint import SyntheticCheckpoint
from rnj_agent.runtime.bench.synthetic.clock import synchronize
from rnj_agent.runtime.bench.synthetic.subject import SyntheticSubject, load_synthetic_model
from rnj_agent.runtime.bench.synthetic.text import SyntheticText
from rnj_agent.runtime.quant.fp8 import FP8_DTYPE, FP8_MAX
from rnj_agent.runtime.quantize.fp8_dynamic import fp8_dynamic_config, linear_shapes
from rnj_agent.runtime.weights.checkpoint import open_checkpoint

SHARD_BYTES = 2 * 10**9
NUM_PROMPT_TOKENS = 1024


def load(recorder: StepRecorder, place: Workplace) -> None:
    folder = place.folder / "fp8-checkpoint"
    checkpoint = SyntheticCheckpoint(place.shape)
    begun = time.perf_counter()
    num_bytes = write_fp8_checkpoint(checkpoint, folder, torch.device(place.device))
    recorder.note(f"wrote {num_bytes / 1e9:.2f} GB of FP8 in {time.perf_counter() - begun:.1f} s")
    for how in ("from the disk", "from the page cache"):
        if how == "from the disk":
            forget_pages(folder)
        say(f"load {how}")
        _load(recorder, place, checkpoint, folder, how)
        gc.collect()
        if place.device == "cuda":
            torch.cuda.empty_cache()


def _load(
    recorder: StepRecorder,
    place: Workplace,
    synthetic: SyntheticCheckpoint,
    folder: Path,
    how: str,
) -> None:
    options = subject_options(place, "fp8", max_num_seqs=8)
    num_bytes = sum(file.stat().st_size for file in folder.iterdir())
    begun = time.perf_counter()
    checkpoint = open_checkpoint(folder)
    model = load_synthetic_model(checkpoint, options)
    checkpoint.close()
    synchronize(model.device)
    loaded_s = time.perf_counter() - begun
    subject = SyntheticSubject(model, options)
    ready_s = time.perf_counter() - begun
    text = SyntheticText(synthetic)
    prompt_ids = text.prompt(64 if place.dry_run else NUM_PROMPT_TOKENS, salt=1)
    (token_id,) = subject.reply(prompt_ids, num_tokens=1)
    first_token_s = time.perf_counter() - begun
    recorder.value(f"weights {how}", loaded_s, "s", detail=f"{num_bytes / loaded_s / 1e9:.2f} GB/s")
    recorder.value(f"engine ready, {how}", ready_s, "s")
    recorder.value(f"first token, {how}", first_token_s, "s")
    is_right = [token_id] == text.walk(prompt_ids[-1], 1)
    recorder.value(f"the right token, {how}", 100.0 * is_right, "%")


def write_fp8_checkpoint(
    checkpoint: SyntheticCheckpoint, folder: Path, device: torch.device
) -> int:
    """As ``rnj-agent model quantize`` leaves it, but quantised on the device.

    Returns:
        Bytes of the weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    projections = linear_shapes(checkpoint.config)
    weight_map: dict[str, str] = {}
    shard: dict[str, Tensor] = {}
    num_bytes = num_shards = 0

    def write_shard() -> None:
        nonlocal num_shards
        num_shards += 1
        name = f"model-{num_shards:05}.safetensors"
        save_file(shard, folder / name, metadata={"format": "pt"})
        weight_map.update(dict.fromkeys(shard, name))
        shard.clear()

    for name, shape in checkpoint.shapes.items():
        weight = torch.empty(shape, dtype=torch.bfloat16, device=device)
        checkpoint.load_into(name, weight)
        shard |= _quantized(name, weight) if name in projections else {name: weight.cpu()}
        if sum(tensor.nbytes for tensor in shard.values()) >= SHARD_BYTES:
            num_bytes += sum(tensor.nbytes for tensor in shard.values())
            write_shard()
    num_bytes += sum(tensor.nbytes for tensor in shard.values())
    write_shard()
    index = {"metadata": {"total_size": num_bytes}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    config = checkpoint.hf_config | {"quantization_config": fp8_dynamic_config()}
    (folder / "config.json").write_text(json.dumps(config))
    return num_bytes


def forget_pages(folder: Path) -> None:
    """Let the next reader wait for the disk; what is not written yet cannot be forgotten."""
    for file in folder.iterdir():
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def _quantized(name: str, weight: Tensor) -> dict[str, Tensor]:
    scale = (weight.float().abs().amax(1, keepdim=True) / FP8_MAX).bfloat16()
    data = (weight.float() / scale.float()).clamp_(-FP8_MAX, FP8_MAX).to(FP8_DTYPE)
    return {name: data.cpu(), f"{name}_scale": scale.cpu()}
