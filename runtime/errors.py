"""What can go wrong in the runtime. Each message says what happened and why; ``hint`` what to do.

RnjRuntimeError
├── CheckpointError        a model file is broken, or of a kind that this runtime does not run
├── ModelNotFoundError     no such model in the catalogue, and no such file or folder
├── DownloadError          a model could not be fetched: no network, no disk, wrong checksum
├── StorageError           a model that is made here has no room on the disk
├── TokenizerError         the checkpoint's tokenizer is missing, broken or of an unknown kind
├── TemplateError          the chat template is missing, fails, or refuses the conversation
├── RequestError           a request to the server asks for something that cannot be
└── EngineError            the engine cannot go on: out of memory, closed
"""

from __future__ import annotations


class RnjRuntimeError(Exception):
    """Root. ``hint`` is the next command to type, or an empty string where there is none."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class CheckpointError(RnjRuntimeError):
    """A model file is broken, or of a kind that this runtime does not run."""


class ModelNotFoundError(RnjRuntimeError):
    """No such model in the catalogue, and no such file or folder."""


class DownloadError(RnjRuntimeError):
    """A model could not be fetched; what has arrived is kept for the next try."""


class StorageError(RnjRuntimeError):
    """A model that is made here has no room on the disk; what is done is kept for the next try."""


class TokenizerError(RnjRuntimeError):
    """The checkpoint's tokenizer is missing, broken or of an unknown kind."""


class TemplateError(RnjRuntimeError):
    """The chat template is missing, fails, or refuses the conversation."""


class RequestError(RnjRuntimeError):
    """A request asks for something that cannot be; ``param`` and ``code`` as in OpenAI's API."""

    def __init__(
        self, message: str, *, hint: str = "", param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.param = param
        self.code = code


class EngineError(RnjRuntimeError):
    """The engine cannot go on."""
