"""Errors for the user's world. Each says what happened, why, and the next command to type.

RnjError                       exit 1
├── UsageError                 exit 2   the command line asks for something that cannot be
│   ├── ConfigError            exit 2   a config file or RNJ_* variable is wrong
│   ├── IssueError             exit 2   the issue cannot be read: missing, private, empty
│   └── WorkspaceError         exit 2   the repository cannot be used as asked
├── NoPatchError               exit 3   ended without a patch
├── NoSandboxError             exit 4   no sandbox on this machine
├── ModelError                 exit 5   no model: not found, not running, refuses the key
│   ├── ModelUnavailableError  exit 5   nothing answers, or it answers that it has no such model
│   ├── ModelRequestError      exit 5   the server refuses this request and would again
│   └── ContextOverflowError   exit 5   the prompt is longer than the model's window
└── SessionError               exit 1   a saved session cannot be written or read

``sandbox.errors`` and ``runtime.errors`` have roots of their own; the edges translate.
"""

from __future__ import annotations

from typing import ClassVar


class RnjError(Exception):
    """Root. ``hint`` is the next command to type, or an empty string where there is none."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(RnjError):
    """The command line asks for something that cannot be."""

    exit_code: ClassVar[int] = 2


class ConfigError(UsageError):
    """A config file or an RNJ_* variable is wrong."""


class IssueError(UsageError):
    """The issue cannot be read."""


class WorkspaceError(UsageError):
    """The repository cannot be used as asked."""


class NoPatchError(RnjError):
    """Ended without a patch."""

    exit_code: ClassVar[int] = 3


class NoSandboxError(RnjError):
    """No sandbox on this machine."""

    exit_code: ClassVar[int] = 4


class ModelError(RnjError):
    """No model."""

    exit_code: ClassVar[int] = 5


class ModelUnavailableError(ModelError):
    """Nothing answers at the endpoint, or it has no such model."""


class ModelRequestError(ModelError):
    """The server refuses this request and would refuse it again."""


class ContextOverflowError(ModelError):
    """The prompt is longer than the model's window."""


class SessionError(RnjError):
    """A saved session cannot be written or read."""
