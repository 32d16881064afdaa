"""Prompts around a hole, for vocabularies that know how."""

from __future__ import annotations

import pytest
from tokenizers import AddedToken

from rnj_agent.runtime.fim import find_fim_tokens
from rnj_agent.runtime.tokenizer import Tokenizer
from rnj_agent.runtime.tokenizers.gguf import spec_from_gguf
from tests.runtime.small_vocabulary import CONTROL, gguf_metadata, trained

QWEN = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
STARCODER = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>")


def tokenizer_with(tokens: tuple[str, ...], *, special: bool) -> Tokenizer:
    library = trained()
    added = [AddedToken(text, special=special, normalized=False) for text in tokens]
    library.add_special_tokens(added) if special else library.add_tokens(added)
    metadata = gguf_metadata(library)
    names = metadata["tokenizer.ggml.tokens"]
    assert isinstance(names, list)
    control = {*CONTROL, *(tokens if special else ())}
    types = [3 if name in control else 4 if name in tokens else 1 for name in names]
    return Tokenizer(spec_from_gguf(metadata | {"tokenizer.ggml.token_type": types}))


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("form", [QWEN, STARCODER])
def test_the_three_tokens_stand_around_prefix_and_suffix(
    form: tuple[str, ...], special: bool
) -> None:
    tokenizer = tokenizer_with(form, special=special)
    tokens = find_fim_tokens(tokenizer)
    assert tokens is not None
    ids = tokenizer.encode_prompt(tokens.prompt("def f(", "return x"))
    assert tokenizer.decode(ids).endswith(f"{form[0]}def f({form[1]}return x{form[2]}")
    without_text = tokenizer.encode_prompt(tokens.prompt("", ""))
    assert len(without_text) == 3 + tokenizer.add_bos


def test_text_cannot_close_the_hole() -> None:
    tokenizer = tokenizer_with(QWEN, special=True)
    tokens = find_fim_tokens(tokenizer)
    assert tokens is not None
    middle = tokenizer.control_ids[QWEN[2]]
    ids = tokenizer.encode_prompt(tokens.prompt(QWEN[2], QWEN[2]))
    assert ids.count(middle) == 1
    assert ids[-1] == middle


def test_other_vocabularies_have_none() -> None:
    assert find_fim_tokens(tokenizer_with((), special=True)) is None
    assert find_fim_tokens(tokenizer_with(QWEN[:2], special=True)) is None
