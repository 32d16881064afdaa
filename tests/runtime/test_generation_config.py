"""A checkpoint's defaults for sampling."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnj_agent.runtime.errors import CheckpointError
from rnj_agent.runtime.generation_config import GenerationConfig, read_generation_config


def test_without_a_file_the_distribution_is_plain(tmp_path: Path) -> None:
    assert read_generation_config(tmp_path) == GenerationConfig()
    assert read_generation_config(tmp_path / "model.gguf") == GenerationConfig()


def test_reads_what_concerns_sampling(tmp_path: Path) -> None:
    (tmp_path / "generation_config.json").write_text(
        '{"temperature": 0.7, "top_p": 0.8, "top_k": 20, "min_p": null, "eos_token_id": [1, 2],'
        ' "repetition_penalty": 1.05, "do_sample": true}'
    )
    expected = GenerationConfig(temperature=0.7, top_p=0.8, top_k=20, repetition_penalty=1.05)
    assert read_generation_config(tmp_path) == expected
    assert read_generation_config(tmp_path / "model.safetensors") == expected


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "\xff",
        '{"temperature": "hot"}',
        '{"temperature": -1}',
        '{"temperature": NaN}',
        '{"top_p": 0}',
        '{"top_k": true}',
        '{"top_k": 1e99}',
        "[" * 100_000,
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "generation_config.json").write_text(content, encoding="latin-1")
    with pytest.raises(CheckpointError, match=r"generation_config\.json"):
        read_generation_config(tmp_path)
