"""The same ids as the ``tokenizers`` library, for the vocabularies of real models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tokenizers import Tokenizer as LibraryTokenizer

from rnj_agent.runtime.tokenizer import Tokenizer, load_tokenizer
from tests.runtime.real_models import GEMMA_3, QWEN, SMOLLM2, model_file
from tests.runtime.reference_tokenizers import (
    byte_level_reference,
    json_reference,
    sentencepiece_reference,
)
from tests.runtime.tokenizer_texts import SPECIAL_STRINGS, hostile_lines, real_lines

pytestmark = pytest.mark.weights

LLAMA_3 = "llama-3-tokenizer/tokenizer.json"


@dataclass(frozen=True, slots=True)
class Pair:
    ours: Tokenizer
    library: LibraryTokenizer

    def differing(self, lines: list[str]) -> list[str]:
        return [line for line in lines if self.ours.encode(line) != self.expected(line)]

    def expected(self, line: str) -> list[int]:
        return self.library.encode(line, add_special_tokens=False).ids


REFERENCES: dict[str, Callable[[Path], LibraryTokenizer]] = {
    LLAMA_3: json_reference,
    QWEN: byte_level_reference,
    SMOLLM2: byte_level_reference,
    GEMMA_3: sentencepiece_reference,
}


@pytest.fixture(scope="module", params=REFERENCES, ids=lambda name: str(name).split("/")[0])
def pair(request: pytest.FixtureRequest) -> Pair:
    path = model_file(request.param)
    return Pair(load_tokenizer(path), REFERENCES[request.param](path))


def test_two_thousand_lines_of_code_and_prose(pair: Pair) -> None:
    lines = real_lines()
    assert len(lines) == 2000
    assert pair.differing(lines) == []


def test_a_long_text_in_one_piece(pair: Pair) -> None:
    assert pair.differing(["".join(real_lines())]) == []


def test_hostile_text(pair: Pair) -> None:
    assert pair.differing(hostile_lines()) == []


def test_special_strings_stay_text(pair: Pair) -> None:
    for line in [*SPECIAL_STRINGS, *pair.ours.control_ids, *hostile_lines(200, seed=1)]:
        ids = pair.ours.encode(line)
        assert not any(map(pair.ours.is_control, ids)), line


def test_every_token_is_reached_by_its_own_text(pair: Pair) -> None:
    """The rank form of BPE and the merge form agree on each token of the vocabulary."""
    tokens = map(pair.ours.token_bytes, range(pair.ours.vocab_size))
    texts = [token.decode(errors="ignore") for token in tokens]
    assert pair.differing(texts) == []


def test_what_is_encoded_decodes(pair: Pair) -> None:
    for line in real_lines(400):
        expected = pair.library.decode(pair.expected(line), skip_special_tokens=False)
        assert pair.ours.decode(pair.ours.encode(line)) == expected


def test_stop_tokens() -> None:
    llama = load_tokenizer(model_file(LLAMA_3))
    assert llama.eos_ids == {128001, 128009}
    assert (llama.bos_id, llama.add_bos, llama.vocab_size) == (128000, True, 128256)


def test_stop_tokens_of_qwen() -> None:
    qwen = load_tokenizer(model_file(QWEN))
    assert qwen.eos_ids == {qwen.control_ids["<|im_end|>"], qwen.control_ids["<|endoftext|>"]}
    assert not qwen.add_bos
