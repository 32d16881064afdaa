"""What a failed model request means: whether to send it again, and what to tell the person.

Every message names the cause, quotes the server's own words and gives the next command. The SDK's
exceptions do not leave the model client.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

import openai

from rnj_agent.agent.errors import (
    ContextOverflowError,
    ModelError,
    ModelRequestError,
    ModelUnavailableError,
)

_MAX_WORDS: Final = 400
"""Characters of a server's message that are shown: some answer with a whole HTML page."""

_MAX_RETRY_AFTER_S: Final = 300.0

_RETRYABLE_STATUS: Final = frozenset({408, 409, 425, 429})

_OVERFLOW: Final = re.compile(
    r"context_length_exceeded"  # OpenAI, the bundled runtime
    r"|exceed_context_size|exceeds the available context size"  # llama.cpp
    r"|maximum (context|model) length|longer than the model's context length"  # vLLM, SGLang
    r"|exceeds (the |its )?(maximum )?context (length|window|size)"  # Ollama
    r"|context length of only|context (the )?overflows"  # LM Studio
    r"|max_new_tokens` must be <=|prompt is too long|input is too long",  # TGI, Together
    re.IGNORECASE,
)
_NO_SUCH_MODEL: Final = re.compile(
    r"model\b.*\b(not found|does not exist|no such|not available|unknown)"
    r"|(unknown|no such|invalid|unable to access) model|model_not_(found|available)",
    re.IGNORECASE | re.DOTALL,
)


class BrokenReplyError(Exception):
    """The stream was no well-formed reply, or stopped in the middle of one."""


Failure: TypeAlias = openai.APIError | BrokenReplyError | TimeoutError | ValueError
"""What one attempt can end with; ValueError is a piece of stream that is not JSON or not UTF-8."""

FAILURES: Final = (openai.APIError, BrokenReplyError, TimeoutError, ValueError)


def never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Whom a request goes to, as messages name it."""

    title: str
    """Such as "Ollama at http://127.0.0.1:11434/v1"."""
    model: str
    api_key_env: str
    start_hint: str
    missing_model_hint: str
    known_models: tuple[str, ...]
    timeout_s: float
    is_gone: Callable[[], bool] = never
    """Whether nobody will answer there again; only a server of this machine's is known so well."""


def is_retryable(error: Failure) -> bool:
    """Whether the same request may succeed a little later, provided that no token came yet."""
    match error:
        case openai.APITimeoutError():
            # After the long read timeout, waiting as long again helps nobody.
            return "Connect" in type(error.__cause__).__name__
        case openai.APIStatusError():
            return error.status_code >= 500 or error.status_code in _RETRYABLE_STATUS
        case openai.APIConnectionError() | BrokenReplyError():
            return True
        case TimeoutError():
            return False
        case openai.APIError():  # an error object inside the stream
            return not is_overflow(error)
        case _:
            return True


def retry_after_s(error: Failure) -> float | None:
    """What the server asked for in Retry-After, in seconds or as a date."""
    if not isinstance(error, openai.APIStatusError):
        return None
    value = error.response.headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        delay_s = float(value)
    except ValueError:
        date = email.utils.parsedate_tz(value)
        delay_s = email.utils.mktime_tz(date) - time.time() if date else 0.0
    return min(max(delay_s, 0.0), _MAX_RETRY_AFTER_S)


def is_overflow(error: Failure) -> bool:
    return isinstance(error, openai.APIError) and bool(
        error.code == "context_length_exceeded" or _OVERFLOW.search(words(error))
    )


def words(error: Failure) -> str:
    """The server's own words in one line, or what went wrong in the transport."""
    text = _words_in(error.body) if isinstance(error, openai.APIError) else ""
    if not text and isinstance(error, openai.APIConnectionError) and error.__cause__:
        text = str(error.__cause__) or type(error.__cause__).__name__
    line = " ".join((text or str(error) or type(error).__name__).split())
    return line if len(line) <= _MAX_WORDS else line[:_MAX_WORDS] + "…"


def _words_in(body: object) -> str:
    if isinstance(body, str):
        return re.sub(r"<[^>]*>", " ", body)
    if not isinstance(body, Mapping):
        return ""
    for name in ("message", "error", "detail", "msg"):
        value = cast(Mapping[str, object], body).get(name)
        if isinstance(value, str) and value:
            return value
        if value:
            return _words_in(value) or str(value)
    return str(cast(object, body))


def translate(error: Failure, to: Destination) -> ModelError:
    """The error that the person reads."""
    if is_overflow(error):
        return ContextOverflowError(
            f"The prompt does not fit the window of {to.model}: {words(error)}",
            hint="give the model a larger window, or set model.context_window to the real one",
        )
    match error:
        case openai.APITimeoutError() | TimeoutError():
            return ModelUnavailableError(
                f"{to.title} did not answer within {to.timeout_s:.0f} s.",
                hint="raise model.timeout_s, or use a smaller model",
            )
        case openai.APIStatusError():
            return _translate_status(error, to)
        case openai.APIConnectionError():
            return ModelUnavailableError(
                f"Cannot reach {to.title}: {words(error)}.",
                hint=to.start_hint or "rnj-agent doctor",
            )
        case BrokenReplyError() | openai.APIError():
            return ModelUnavailableError(
                f"{to.title} broke off its reply: {words(error)}", hint="rnj-agent doctor"
            )
        case _:
            return ModelUnavailableError(
                f"{to.title} sent a reply that is not well-formed: {words(error)}",
                hint="check that the base URL is that of an OpenAI-compatible API",
            )


def _translate_status(error: openai.APIStatusError, to: Destination) -> ModelError:
    quoted = f"HTTP {error.status_code}: {words(error)}"
    match error.status_code:
        case 401 | 403:
            hint = f"export {to.api_key_env}=…" if to.api_key_env else "set api_key_env"
            return ModelRequestError(f"{to.title} refuses the key ({quoted}).", hint=hint)
        case _ if error.status_code in {400, 404} and _NO_SUCH_MODEL.search(words(error)):
            return _no_such_model(quoted, to)
        case 404:
            return ModelUnavailableError(
                f"{to.title} knows no chat completions there ({quoted}).",
                hint="the base URL usually ends in /v1",
            )
        case code if code >= 500 or code in _RETRYABLE_STATUS:
            return ModelUnavailableError(
                f"{to.title} cannot serve now ({quoted}).", hint="try again later"
            )
        case _:
            return ModelRequestError(f"{to.title} refuses the request ({quoted}).")


def _no_such_model(quoted: str, to: Destination) -> ModelError:
    hint = to.missing_model_hint.format(model=to.model)
    if to.known_models:
        hint = (f"{hint}; or " if hint else "") + f"--model {to.known_models[0]}"
    known = f" It has: {', '.join(to.known_models[:8])}." if to.known_models else ""
    return ModelUnavailableError(
        f"{to.title} has no model '{to.model}' ({quoted}).{known}", hint=hint
    )
