from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as LibraryTokenizer

from rnj_agent.runtime.errors import TokenizerError
from rnj_agent.runtime.prompt_text import PromptText, Segment
from rnj_agent.runtime.tokenizer import StreamDecoder, Tokenizer, load_tokenizer
from rnj_agent.runtime.tokenizers.byte_level import MAX_WHITESPACE_RUN
from tests.runtime.small_vocabulary import CONTROL, MARKUP, gguf_metadata, trained

PIECES = (*CONTROL, *MARKUP, "<|eot", "_id|>", " ", "  ", "\n", "'s", "the", "über", "\u0301", "9")
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=20).map("".join)


@pytest.fixture(scope="module")
def library() -> LibraryTokenizer:
    return trained()


@pytest.fixture(scope="module")
def gguf(library: LibraryTokenizer) -> Tokenizer:
    return load_tokenizer(Path("model.gguf"), metadata=gguf_metadata(library))


@pytest.fixture(scope="module")
def folder(library: LibraryTokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint")
    library.save(str(path / "tokenizer.json"))
    config = {"bos_token": {"content": "<|begin_of_text|>"}, "add_bos_token": True}
    (path / "tokenizer_config.json").write_text(json.dumps(config))
    (path / "generation_config.json").write_text('{"eos_token_id": [1, 2]}')
    return path


def expected_ids(library: LibraryTokenizer, text: str) -> list[int]:
    return library.encode(text, add_special_tokens=False).ids


def test_any_text_has_the_ids_of_the_library(gguf: Tokenizer, library: LibraryTokenizer) -> None:
    @given(TEXTS)
    @settings(max_examples=500, deadline=None)
    def check(text: str) -> None:
        ids = gguf.encode(text)
        assert ids == expected_ids(library, text)
        assert gguf.decode(ids) == text
        assert not any(map(gguf.is_control, ids))

    check()


def test_gguf_and_json_say_the_same(gguf: Tokenizer, folder: Path) -> None:
    from_json = load_tokenizer(folder)
    assert from_json.control_ids == gguf.control_ids
    assert (from_json.bos_id, from_json.add_bos) == (gguf.bos_id, True)
    text = "Text with <tool_call> and <|eot_id|>: über 12345"
    assert from_json.encode(text) == gguf.encode(text)
    assert [from_json.token_bytes(i) for i in range(from_json.vocab_size)] == [
        gguf.token_bytes(i) for i in range(gguf.vocab_size)
    ]


def test_all_stated_stop_tokens_and_those_known_by_name(gguf: Tokenizer, folder: Path) -> None:
    by_name = {gguf.control_ids["<|eot_id|>"], gguf.control_ids["<|im_end|>"]}
    assert gguf.eos_ids == by_name
    assert load_tokenizer(folder).eos_ids == by_name | {1, 2}


def test_a_prompt_has_its_markup_and_one_bos(gguf: Tokenizer) -> None:
    bos, end = gguf.control_ids["<|begin_of_text|>"], gguf.control_ids["<|eot_id|>"]
    plain = gguf.encode("hi <|eot_id|>")
    text, eot = Segment("hi <|eot_id|>", False), Segment("<|eot_id|>", True)
    with_bos = PromptText((Segment("<|begin_of_text|>", True), text, eot))
    assert gguf.encode_prompt(with_bos) == [bos, *plain, end]
    assert gguf.encode_prompt(PromptText((text, eot))) == [bos, *plain, end]
    assert str(with_bos) == "<|begin_of_text|>hi <|eot_id|><|eot_id|>"


def test_markup_that_the_tokenizer_lacks_is_refused(gguf: Tokenizer) -> None:
    with pytest.raises(TokenizerError, match="no control token '<pad>'"):
        gguf.encode_prompt(PromptText((Segment("<pad>", True),)))


def test_long_runs_of_whitespace(gguf: Tokenizer, library: LibraryTokenizer) -> None:
    """tiktoken's regex engine gives up at half a million; the library takes over before."""
    for text in ("x" + " " * MAX_WHITESPACE_RUN + "y", "\t \n" * (MAX_WHITESPACE_RUN // 2)):
        assert gguf.encode(text) == expected_ids(library, text)


def test_bytes_without_a_token_are_dropped_as_the_library_does() -> None:
    library = trained(num_tokens=60, alphabet=False)
    tokenizer = load_tokenizer(Path("model.gguf"), metadata=gguf_metadata(library))
    text = "words, \x04few\x06 Ω of them<tool_call>Q words"
    assert tokenizer.encode(text) == expected_ids(library, text)
    assert tokenizer.decode(tokenizer.encode(text)) == "words, few  of them<tool_call> words"


def test_half_a_surrogate_pair_does_not_crash(gguf: Tokenizer) -> None:
    assert gguf.decode(gguf.encode("a\ud800b")) == "a\ufffdb"


def test_streaming_gives_the_text_of_the_whole(gguf: Tokenizer) -> None:
    @given(st.lists(st.integers(0, gguf.vocab_size - 1), max_size=30))
    @settings(deadline=None)
    def check(ids: list[int]) -> None:
        stream = StreamDecoder(gguf)
        pieces = [stream.feed(token_id) for token_id in ids]
        said = [token_id for token_id in ids if not gguf.is_control(token_id)]
        assert "".join(pieces) + stream.finish() == gguf.decode(said)

    check()


def test_a_character_is_held_back_until_it_is_whole(gguf: Tokenizer) -> None:
    ids = gguf.encode("\U00013000")
    assert len(ids) == 4
    stream = StreamDecoder(gguf)
    assert [stream.feed(token_id) for token_id in ids] == ["", "", "", "\U00013000"]


SENTENCEPIECE = ("<unk>", "<s>", "▁", "a", "b", "ab", "▁ab", "   ", "<b>")


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("ab ab", ["ab", " ab"]),
        ("a b", ["a", " ", "b"]),
        ("    ab", ["   ", " ab"]),
        ("aé<s>", ["a", "\xc3", "\xa9", "<", "s", ">"]),
        ("<b>ab", ["<b>", "ab"]),
    ],
)
def test_sentencepiece(text: str, pieces: list[str]) -> None:
    tokens = [*SENTENCEPIECE, *(f"<0x{byte:02X}>" for byte in range(256))]
    metadata: dict[str, object] = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [0.0, 0.0, -1.0, -1.0, -1.0, -2.0, -3.0, -4.0, *[0.0] * 257],
        "tokenizer.ggml.token_type": [2, 3, 1, 1, 1, 1, 1, 4, 4, *[6] * 256],
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.add_space_prefix": False,
    }
    tokenizer = load_tokenizer(Path("model.gguf"), metadata=metadata)
    ids = tokenizer.encode(text)
    assert [tokenizer.token_bytes(i) for i in ids] == [p.encode("latin-1") for p in pieces]
    assert tokenizer.decode(ids) == text
    assert tokenizer.add_bos


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"tokenizer.ggml.model": "t5"}, "of kind 't5'"),
        ({"tokenizer.ggml.pre": "new-model"}, "pre-tokenizer 'new-model' is unknown"),
        ({"tokenizer.ggml.tokens": None}, "no usable tokenizer"),
        ({"tokenizer.ggml.tokens": [1, 2]}, "not a list of str"),
        ({"tokenizer.ggml.token_type": [1]}, "but 1 token types"),
        ({"tokenizer.ggml.merges": ["q \u4e00"]}, "a merge gives"),
        ({"tokenizer.ggml.add_bos_token": 1.5}, "not of type bool"),
    ],
)
def test_a_broken_gguf_tokenizer_says_what_is_wrong(
    library: LibraryTokenizer, change: dict[str, object], problem: str
) -> None:
    metadata = {k: v for k, v in gguf_metadata(library, **change).items() if v is not None}
    with pytest.raises(TokenizerError, match=problem):
        load_tokenizer(Path("model.gguf"), metadata=metadata)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"added_tokens": [], "model": {"vocab": 3}}'])
def test_a_broken_tokenizer_json_says_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(TokenizerError, match=r"not a tokenizer\.json"):
        load_tokenizer(tmp_path)


def test_a_missing_tokenizer_json_says_so(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match="has no tokenizer"):
        load_tokenizer(tmp_path)


def test_a_json_of_another_kind_is_run_by_the_library(tmp_path: Path) -> None:
    from tokenizers import models, pre_tokenizers

    library = LibraryTokenizer(models.WordLevel({"[UNK]": 0, "hello": 1, "world": 2}, "[UNK]"))
    library.pre_tokenizer = pre_tokenizers.Whitespace()
    library.save(str(tmp_path / "tokenizer.json"))
    assert load_tokenizer(tmp_path).encode("hello strange world") == [1, 0, 2]
