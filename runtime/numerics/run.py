"""Loads a checkpoint in several formats, and compares them over a text."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal, TypeAlias

import torch

from rnj_agent.runtime.bench.synthetic.bench import describe_device
from rnj_agent.runtime.bench.this_machine import versions
from rnj_agent.runtime.errors import EngineError, RequestError
from rnj_agent.runtime.memory_budget import GIB, available_device_bytes, weights_size
from rnj_agent.runtime.models.causal_lm import CausalLM
from rnj_agent.runtime.models.loading import Quant, load_model
from rnj_agent.runtime.numerics.compare import Comparison, compare
from rnj_agent.runtime.numerics.report import NumericsReport
from rnj_agent.runtime.tokenizer import load_tokenizer
from rnj_agent.runtime.weights.checkpoint import Checkpoint, open_checkpoint

Reference: TypeAlias = Literal["bf16", "fp32"]
Subject: TypeAlias = Literal["fp8", "int8"]
Format: TypeAlias = Reference | Subject
REFERENCES: Final[tuple[Reference, ...]] = ("bf16", "fp32")
SUBJECTS: Final[tuple[Subject, ...]] = ("fp8", "int8")
DEFAULT_NUM_TOKENS: Final = 1024
_QUANTS: Final[dict[Format, Quant]] = {
    "bf16": "none",
    "fp32": "none",
    "fp8": "fp8",
    "int8": "int8",
}
Progress: TypeAlias = Callable[[str], None]
Open: TypeAlias = Callable[[], Checkpoint]


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericsOptions:
    subject: Subject = "fp8"
    """FP8 with quantised activations, as on a GPU, also where that is emulated."""
    references: Sequence[Reference] = REFERENCES
    device: str = "cpu"


def text_ids(path: Path, *, num_tokens: int) -> list[int]:
    """The first tokens of the text that comes with this package, in the model's tokens.

    Raises:
        TokenizerError: the checkpoint has none.
        RequestError: the text is shorter.
    """
    checkpoint = open_checkpoint(path)
    try:
        tokenizer = load_tokenizer(checkpoint.path, metadata=checkpoint.metadata)
    finally:
        checkpoint.close()
    text = files("rnj_agent.runtime.numerics").joinpath("sample.txt").read_text(encoding="utf-8")
    begin = [tokenizer.bos_id] if tokenizer.add_bos and tokenizer.bos_id is not None else []
    ids = [*begin, *tokenizer.encode(text)]
    if not 2 <= num_tokens <= len(ids):
        raise RequestError(
            f"The text has {len(ids)} of this model's tokens; {num_tokens} were asked for.",
            hint=f"Give --tokens 2 to {len(ids)}.",
        )
    return ids[:num_tokens]


def run(
    open_model: Open,
    token_ids: Sequence[int],
    *,
    options: NumericsOptions,
    text: str,
    progress: Progress,
) -> NumericsReport:
    """Compare the subject with each reference, and of two references one with the other.

    Args:
        open_model: opens the checkpoint, once for each format; it is closed again.
        token_ids: what is read.
        options: which formats, and where.
        text: what the tokens are, for the report.
        progress: is told in lines what takes so long.

    Raises:
        RnjRuntimeError: the model does not load, or two of it do not fit.
    """
    formats = _Formats(open_model, options, progress)
    subject, references = options.subject, list(dict.fromkeys(options.references))
    pairs: list[tuple[Format, Format]] = [(reference, subject) for reference in references]
    if set(references) == {"bf16", "fp32"}:
        pairs.append(("fp32", "bf16"))
    comparisons: list[Comparison] = []
    for right, compared in pairs:
        formats.keep(right, compared)
        names = (formats.name(right), formats.name(compared))
        models = formats.model(right), formats.model(compared)
        title = f"{names[1]} against {names[0]}"

        def count(num_done: int, num_total: int, title: str = title) -> None:
            progress(f"{title}: {num_done} of {num_total} tokens")

        comparisons.append(compare(*models, token_ids, names=names, progress=count))
    return NumericsReport(
        model=formats.model_name,
        text=text,
        device=describe_device(torch.device(options.device)),
        date=datetime.now(UTC).isoformat(timespec="minutes"),
        versions=versions(),
        comparisons=tuple(comparisons),
    )


class _Formats:
    """At most two models at a time."""

    def __init__(self, open_model: Open, options: NumericsOptions, progress: Progress) -> None:
        self._open = open_model
        self._options = options
        self._progress = progress
        self._models: dict[Format, CausalLM] = {}
        self.model_name = ""

    def name(self, kind: Format) -> str:
        return "fp8 W8A8" if kind == "fp8" else kind

    def keep(self, *kinds: Format) -> None:
        """Give back the memory of the others."""
        self._models = {kind: model for kind, model in self._models.items() if kind in kinds}
        gc.collect()
        if self._options.device.startswith("cuda"):
            torch.cuda.empty_cache()

    def model(self, kind: Format) -> CausalLM:
        if kind not in self._models:
            self._progress(f"loading in {self.name(kind)}")
            self._models[kind] = self._load(kind)
        return self._models[kind]

    def _load(self, kind: Format) -> CausalLM:
        dtype, quant = _dtype(kind), _QUANTS[kind]
        device = self._options.device
        checkpoint = self._open()
        try:
            self.model_name = checkpoint.path.name
            needed = weights_size(checkpoint, dtype, quant, device).total_bytes
            available = available_device_bytes(device)
            if needed > available:
                raise EngineError(
                    f"In {self.name(kind)} {self.model_name} takes {needed / GIB:.1f} GiB; "
                    f"{available / GIB:.1f} GiB are available.",
                    hint="Compare with one reference: --reference bf16.",
                )
            model = load_model(
                checkpoint,
                dtype=dtype,
                device=device,
                quant=quant,
                quantize_activations=True if kind == "fp8" else None,
            )
        finally:
            checkpoint.close()
        if kind in REFERENCES:
            model.device_batches = False  # what is right is computed the plain way
        return model


def _dtype(kind: Format) -> torch.dtype:
    return torch.float32 if kind == "fp32" else torch.bfloat16
