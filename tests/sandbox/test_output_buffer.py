"""However output arrives, its head and tail are kept, the middle is counted and nothing grows."""

from __future__ import annotations

from contextlib import closing

from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.sandbox.output import LIVE_BYTES, OutputBuffer

CHUNKS = st.lists(st.binary(max_size=40) | st.text(max_size=20).map(str.encode), max_size=20)


def _fill(chunks: list[bytes], *, head: int = 30, tail: int = 20, file: int = 70) -> OutputBuffer:
    buffer = OutputBuffer(file_bytes=file, head_bytes=head, tail_bytes=tail)
    for chunk in chunks:
        buffer.feed(chunk)
    return buffer


@given(CHUNKS)
def test_what_fits_is_whole(chunks: list[bytes]) -> None:
    data = b"".join(chunks)
    with closing(_fill(chunks, head=1000, tail=1000)) as buffer:
        assert buffer.text() == data.decode("utf-8", "replace")
        assert not buffer.truncated
        assert buffer.file() is None


@given(CHUNKS)
def test_what_does_not_fit_keeps_both_ends_and_its_beginning_on_disk(chunks: list[bytes]) -> None:
    data = b"".join(chunks)
    with closing(_fill(chunks)) as buffer:
        assert buffer.num_bytes == len(data)
        assert buffer.truncated == (len(data) > 50)
        if not buffer.truncated:
            return
        assert f"[... {len(data) - 50} bytes left out ...]" in buffer.text()
        assert len(buffer.text()) < 30 + 20 + 60
        file = buffer.file()
        assert file is not None
        kept = file.read()
        assert kept[:70] == data[:70]
        assert (b"were not kept" in kept) == (len(data) > 70)


@given(CHUNKS, st.lists(st.integers(0, 20), max_size=5))
def test_live_text_joins_to_the_whole(chunks: list[bytes], takes: list[int]) -> None:
    buffer = OutputBuffer(file_bytes=0)
    seen = ""
    for index, chunk in enumerate(chunks):
        buffer.feed(chunk)
        if index in takes:
            seen += buffer.take_live()
    assert seen + buffer.finish_live() == buffer.text()


@given(st.integers(1, 4), st.integers(0, 3))
def test_no_character_is_broken_by_our_own_cuts(width: int, shift: int) -> None:
    character = {1: "a", 2: "é", 3: "€", 4: "😀"}[width]
    data = ("x" * shift + character * 100).encode()
    with closing(_fill([data])) as buffer:
        assert "\ufffd" not in buffer.text()


def test_a_flood_reaches_the_watcher_in_part() -> None:
    buffer = OutputBuffer(file_bytes=0)
    for _ in range(100):
        buffer.feed("€".encode() * LIVE_BYTES)
    text = buffer.take_live()
    assert text.startswith("\n[... ")
    assert "\ufffd" not in text
    assert len(text) < LIVE_BYTES
    buffer.feed(b"end")
    assert buffer.finish_live() == "end"
    buffer.close()
