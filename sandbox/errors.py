"""What can go wrong around a sandbox. What a command does is a result, never an error.

SandboxError
├── SandboxUnavailableError    this machine cannot provide that sandbox (the CLI exits with 4)
│   └── ImageMissingError      the engine answers, but the image is not there
├── DiskFullError              no room on the engine's disk
├── SandboxStartError          the sandbox could be provided, but did not start
├── SandboxLostError           it died under a command: engine gone, container removed
└── SandboxFileError           copying a file in or out failed: too large, no space
    └── SandboxFileMissingError  there is no such file
"""

from __future__ import annotations


class SandboxError(Exception):
    """Root. ``hint`` is the next command to type, or an empty string where there is none."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class SandboxUnavailableError(SandboxError):
    """This machine cannot provide that sandbox."""


class ImageMissingError(SandboxUnavailableError):
    """The engine answers, but the image is not there and could not be built."""


class DiskFullError(SandboxError):
    """The disk that the engine keeps images and containers on has no room."""


class SandboxStartError(SandboxError):
    """The sandbox did not start."""


class SandboxLostError(SandboxError):
    """The sandbox died under a command."""


class SandboxFileError(SandboxError):
    """A file could not be copied in or out."""


class SandboxFileMissingError(SandboxFileError):
    """There is no such file, so that one may be made."""
