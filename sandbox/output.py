"""What a command writes: streamed to whoever watches, and bounded in memory however much it is.

One thread feeds it and another takes from it. The first and the last part stay in memory; once
there is a middle to leave out, the beginning goes to an unnamed file on disk as well, so that it
can be handed back as one text. It does not know where the output comes from.
"""

from __future__ import annotations

import codecs
import tempfile
import threading
from typing import IO

HEAD_BYTES = 256 * 1024
TAIL_BYTES = 256 * 1024
LIVE_BYTES = 16 * 1024
"""At most this much is handed to the watcher at a time, so that a flood does not drown him."""


class OutputBuffer:
    """Head, tail, a bounded copy on disk, and what the watcher has not seen yet.

    Args:
        file_bytes: how much of the beginning is kept on disk once the middle leaves memory.
        head_bytes: how much of the beginning stays in memory.
        tail_bytes: how much of the end stays in memory.
    """

    def __init__(
        self, *, file_bytes: int, head_bytes: int = HEAD_BYTES, tail_bytes: int = TAIL_BYTES
    ) -> None:
        self.num_bytes = 0
        self._head_bytes = head_bytes
        self._tail_bytes = tail_bytes
        self._head = bytearray()
        self._tail = bytearray()
        self._file_bytes = file_bytes
        self._file: IO[bytes] | None = None
        self._file_broken = False
        self._live = _LiveText()

    @property
    def truncated(self) -> bool:
        return self.num_bytes > self._head_bytes + self._tail_bytes

    def feed(self, data: bytes) -> None:
        before = self.num_bytes
        self.num_bytes += len(data)
        self._live.feed(data)
        if self.truncated:
            self._keep_on_disk(data, before)
        room = max(0, self._head_bytes - before)
        self._head += data[:room]
        self._tail += data[room:]
        if len(self._tail) > 2 * self._tail_bytes:
            del self._tail[: -self._tail_bytes]

    def take_live(self) -> str:
        """Decoded text that arrived since the last call; a flood's middle is left out."""
        return self._live.take()

    def finish_live(self) -> str:
        """The rest, once no more comes."""
        return self._live.take(final=True)

    def text(self) -> str:
        if not self.truncated:
            return (self._head + self._tail).decode("utf-8", "replace")
        tail = self._tail[-self._tail_bytes :]
        left_out = self.num_bytes - len(self._head) - len(tail)
        head_text = codecs.getincrementaldecoder("utf-8")("replace").decode(bytes(self._head))
        return f"{head_text}\n[... {left_out} bytes left out ...]\n{_decode_tail(tail)}"

    def file(self) -> IO[bytes] | None:
        """The whole output, up to the bound, at its beginning; None where memory has it all."""
        if self._file is None or self._file_broken:
            return None
        if (missing := self.num_bytes - self._file_bytes) > 0:
            self._file.write(f"\n[... the last {missing} bytes were not kept ...]\n".encode())
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _keep_on_disk(self, data: bytes, before: int) -> None:
        if self._file_broken or (self._file is not None and before >= self._file_bytes):
            return
        try:
            if self._file is None:
                self._file = _unnamed_file()
                self._file.write((self._head + self._tail)[: self._file_bytes])
            self._file.write(data[: max(0, self._file_bytes - before)])
        except OSError:
            self._file_broken = True  # the host's disk is full: head and tail must do


class _LiveText:
    """Bytes on their way to the watcher, decoded so that a character may span two chunks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending = bytearray()
        self._num_skipped = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: bytes) -> None:
        with self._lock:
            excess = len(self._pending) + len(data) - LIVE_BYTES
            if excess > 0:
                self._num_skipped += excess
                self._pending = (self._pending + data[-LIVE_BYTES:])[-LIVE_BYTES:]
            else:
                self._pending += data

    def take(self, *, final: bool = False) -> str:
        with self._lock:
            pending, skipped = bytes(self._pending), self._num_skipped
            self._pending.clear()
            self._num_skipped = 0
        if not skipped:
            return self._decoder.decode(pending, final)
        before = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        start = _first_whole_character(pending)
        note = f"\n[... {skipped} bytes not shown ...]\n"
        return before + note + self._decoder.decode(pending[start:], final)


def _unnamed_file() -> IO[bytes]:
    return tempfile.TemporaryFile()


def _decode_tail(tail: bytes | bytearray) -> str:
    return tail[_first_whole_character(tail) :].decode("utf-8", "replace")


def _first_whole_character(data: bytes | bytearray) -> int:
    """Where the first character begins: a cut leaves at most three continuation bytes."""
    for index, byte in enumerate(data[:4]):
        if byte & 0xC0 != 0x80:
            return index
    return 0
