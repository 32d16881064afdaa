"""Whatever is wrong with a model's files: it loads, or one of our errors says why it does not.

Everything that serving reads is read: weights, config, tokenizer, template, sampling defaults.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnj_agent.runtime.chat_template import load_chat_template
from rnj_agent.runtime.errors import RnjRuntimeError
from rnj_agent.runtime.generation_config import read_generation_config
from rnj_agent.runtime.models.loading import load_model
from rnj_agent.runtime.tokenizer import load_tokenizer
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.model_checkpoints import VOCAB, llama_config, random_weights, write_safetensors
from tests.runtime.small_vocabulary import trained
from tests.runtime.tiny_checkpoint import CHAT_TEMPLATE, write_noise_checkpoint

Files = Mapping[str, bytes]
Damage = Callable[[bytes], bytes]


def cut_at(share: float) -> Damage:
    return lambda content: content[: int(len(content) * share)]


def flipped(share: float, bit: int) -> Damage:
    def damage(content: bytes) -> bytes:
        at = int(len(content) * share)
        return content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]

    return damage


def overwritten(share: float, junk: bytes) -> Damage:
    def damage(content: bytes) -> bytes:
        at = int(len(content) * share)
        return (content[:at] + junk + content[at + len(junk) :])[: len(content)]

    return damage


SHARES = st.floats(0, 1, exclude_max=True)
HEAD_SHARES = st.floats(0, 0.03)
"""Counts, keys and tensor infos are in a file's first bytes; the rest is weights."""
DAMAGES = st.one_of(
    st.builds(cut_at, SHARES),
    st.builds(flipped, SHARES | HEAD_SHARES, st.integers(0, 7)),
    st.builds(overwritten, SHARES | HEAD_SHARES, st.binary(min_size=1, max_size=9)),
    st.builds(overwritten, SHARES | HEAD_SHARES, st.just(b"\xff" * 8)),
)
FUZZ = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_noise_checkpoint(tmp_path_factory.mktemp("whole") / "noise.gguf").read_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A Hugging Face folder as it comes from a hub."""
    path = tmp_path_factory.mktemp("whole")
    config = llama_config()
    write_safetensors(path, config, random_weights(config))
    trained(num_tokens=VOCAB, alphabet=False).save(str(path / "tokenizer.json"))
    tokenizer_config = {"chat_template": CHAT_TEMPLATE, "eos_token": "<|im_end|>"}
    (path / "tokenizer_config.json").write_text(json.dumps(tokenizer_config))
    (path / "generation_config.json").write_text(json.dumps({"temperature": 0.7, "top_k": 20}))
    return {file.name: file.read_bytes() for file in path.iterdir()}


def read_everything(path: Path) -> None:
    """As ``runtime.loading`` and the server do."""
    checkpoint = open_checkpoint(path)
    try:
        load_tokenizer(checkpoint.path, metadata=checkpoint.metadata)
        load_chat_template(checkpoint.path, metadata=checkpoint.metadata)
        read_generation_config(path)
        load_model(checkpoint)
    finally:
        checkpoint.close()


def test_whole_files_load(tmp_path: Path, gguf: bytes, folder: Files) -> None:
    (tmp_path / "noise.gguf").write_bytes(gguf)
    read_everything(tmp_path / "noise.gguf")
    for name, content in folder.items():
        (tmp_path / name).write_bytes(content)
    read_everything(tmp_path)


@FUZZ
@given(damage=DAMAGES)
def test_a_damaged_gguf_loads_or_says_why_not(tmp_path: Path, gguf: bytes, damage: Damage) -> None:
    path = tmp_path / "damaged.gguf"
    path.write_bytes(damage(gguf))
    with contextlib.suppress(RnjRuntimeError):
        read_everything(path)


@FUZZ
@given(damage=DAMAGES, data=st.data())
def test_a_damaged_folder_loads_or_says_why_not(
    tmp_path: Path, folder: Files, damage: Damage, data: st.DataObject
) -> None:
    damaged = data.draw(st.sampled_from(sorted(folder)))
    for name, content in folder.items():
        (tmp_path / name).write_bytes(damage(content) if name == damaged else content)
    with contextlib.suppress(RnjRuntimeError):
        read_everything(tmp_path)
