"""One command on its way: its bytes go in, its output and its supervisor's records come out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from rnj_agent.sandbox.output import OutputBuffer
from rnj_agent.sandbox.process import Process

_RECORD_BYTES: Final = 16 * 1024


@dataclass(slots=True, kw_only=True)
class Run:
    """The state of one command; ``drain`` fills it from a worker thread."""

    process: Process
    program: bytes
    output: OutputBuffer
    was_killed: bool = False
    started: bool = False
    exit_code: int | None = None
    cwd: str = ""
    complaint: str = ""
    _records: bytearray = field(default_factory=bytearray)

    def drain(self) -> None:
        """Send the program in and read until the end. Runs in a worker thread."""
        try:
            self.process.write(self.program)
        except OSError as exc:
            self.complaint = str(exc)
        while (chunk := self.process.read()) is not None:
            if not chunk.is_control:
                self.output.feed(chunk.data)
            elif len(self._records) < _RECORD_BYTES:
                self._records += chunk.data
        self._read_records()
        try:
            if not self.started:
                self.complaint = self.complaint or f"status {self.process.wait()}"
        finally:
            self.process.close()

    def _read_records(self) -> None:
        """Whatever forges these can only misreport its own command."""
        *records, rest = bytes(self._records).split(b"\0")
        self.complaint = rest.decode("utf-8", "replace").strip() or self.complaint
        for record in records:
            name, _, value = record.decode("utf-8", "replace").partition("=")
            if name == "start":
                self.started = True
            elif name == "cwd" and value.startswith("/"):
                self.cwd = value
            elif name == "exit" and value.isdecimal():
                self.exit_code = int(value) % 256
