"""A file's text for editing, with what must be the same again when it is written back."""

from __future__ import annotations

from dataclasses import dataclass

_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class FileText:
    text: str
    """With ``\\n`` line ends where the file has one style throughout."""
    encoding: str
    crlf: bool = False
    bom: bool = False

    @staticmethod
    def from_bytes(data: bytes) -> FileText:
        """Decode as UTF-8, or byte for byte as Latin-1; a BOM is no part of the text."""
        try:
            text, encoding = data.decode("utf-8"), "utf-8"
        except UnicodeDecodeError:
            text, encoding = data.decode("latin-1"), "latin-1"
        bom = text.startswith(_BOM)
        text = text.removeprefix(_BOM)
        crlf = "\r\n" in text and text.count("\r\n") == text.count("\n")
        return FileText(text.replace("\r\n", "\n") if crlf else text, encoding, crlf, bom)

    def to_bytes(self, text: str) -> bytes:
        """Encode an edited text as the file was.

        Raises:
            UnicodeEncodeError: the file's encoding has no place for a character.
        """
        if self.crlf:
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        return (_BOM + text if self.bom else text).encode(self.encoding)
