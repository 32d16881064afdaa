"""What a server says about itself before the first request: its models, its window, its tokenizer.

Servers tell their window in six different ways, and Ollama truncates silently: so an unknown window
is never guessed high, and the person is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from rnj_agent.agent.token_count import Dialect, num_tokens_in

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_TIMEOUT_S: Final = 10.0
_WINDOW_NAMES: Final = ("max_model_len", "context_length", "context_window", "max_context_length")
_OLLAMA_DEFAULT_WINDOW: Final = 4096
_OURS: Final = "rnj-agent"
_ONE_MESSAGE: Final = {"messages": [{"role": "user", "content": "x"}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    model_names: tuple[str, ...]
    """What the server lists; empty where it lists nothing."""
    context_window: int | None
    """Tokens; None: it does not say."""
    dialect: Dialect | None
    """How it counts tokens; None: it does not."""
    is_ours: bool
    """Whether it is the bundled runtime, whoever started it."""
    warnings: tuple[str, ...] = ()


def choose_model(wanted: str, listed: tuple[str, ...]) -> str:
    """The wanted name, or the only one there is; an empty string where that is not clear."""
    return wanted or (listed[0] if len(listed) == 1 else "")


def root_of(base_url: str) -> str:
    """The server's root: what its own paths, outside the OpenAI API, hang on."""
    return re.sub(r"/v\d+$", "", base_url.rstrip("/"))


class ServerProbe:
    """Asks one server. Only the list of models must answer; the rest may be missing."""

    def __init__(self, client: AsyncOpenAI, *, base_url: str) -> None:
        self._client = client
        self._base_url = base_url.rstrip("/")
        self._root_url = root_of(base_url)

    async def list_models(self) -> list[Mapping[str, Any]]:
        """The rows of GET /models; empty where the server has no such path.

        Raises:
            openai.APIError: nothing answers, or it refuses the key.
            ValueError: what answers does not speak JSON.
        """
        import openai

        try:
            answer = await self._request("GET", self._base_url + "/models")
        except (openai.NotFoundError, openai.BadRequestError):
            return []
        # Together answers with a bare list.
        rows = answer if isinstance(answer, list) else _mapping(answer).get("data")
        return [_mapping(row) for row in cast(list[object], rows)] if isinstance(rows, list) else []

    async def facts(self, rows: list[Mapping[str, Any]], model: str) -> ServerFacts:
        """Everything that can be learned about ``model``."""
        row = next((row for row in rows if row.get("id") == model), {})
        window, warnings = _window_in_row(row), ()
        if window is None:
            window = await self._llama_cpp_window() or await self._lm_studio_window(model)
        if window is None:
            window, warnings = await self._ollama_window(model)
        return ServerFacts(
            model_names=tuple(str(row["id"]) for row in rows if row.get("id")),
            context_window=window,
            dialect=await self._dialect(model),
            is_ours=row.get("owned_by") == _OURS,
            warnings=warnings,
        )

    async def _llama_cpp_window(self) -> int | None:
        props = _mapping(await self._ask("GET", "/props"))
        return _positive(_mapping(props.get("default_generation_settings")).get("n_ctx"))

    async def _lm_studio_window(self, model: str) -> int | None:
        answer = _mapping(await self._ask("GET", "/api/v0/models"))
        rows = answer.get("data")
        for row in map(_mapping, cast(list[object], rows) if isinstance(rows, list) else []):
            if row.get("id") == model:
                return _positive(row.get("loaded_context_length"))
        return None

    async def _ollama_window(self, model: str) -> tuple[int | None, tuple[str, ...]]:
        shown = _mapping(await self._ask("POST", "/api/show", {"model": model}))
        if not shown:
            return None, ()
        running = _mapping(await self._ask("GET", "/api/ps")).get("models")
        for row in map(_mapping, cast(list[object], running) if isinstance(running, list) else []):
            window = _positive(row.get("context_length"))
            if window and model in {row.get("name"), row.get("model")}:
                return window, _ollama_warnings(window)
        configured = re.search(r"^num_ctx\s+(\d+)", str(shown.get("parameters", "")), re.MULTILINE)
        window = int(configured[1]) if configured else _OLLAMA_DEFAULT_WINDOW
        return window, _ollama_warnings(window)

    async def _dialect(self, model: str) -> Dialect | None:
        # llama.cpp has /tokenize too, but only for text: so its other path is tried first.
        rendered = _mapping(await self._ask("POST", "/apply-template", dict(_ONE_MESSAGE)))
        if isinstance(rendered.get("prompt"), str):
            return "template"
        try:
            num_tokens_in(await self._ask("POST", "/tokenize", {"model": model, **_ONE_MESSAGE}))
        except ValueError:
            return None
        return "messages"

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> object:
        """An answer from the server's root, or None where it has none to give."""
        import openai

        try:
            return await self._request(method, self._root_url + path, body)
        except (openai.APIError, ValueError):
            return None

    async def _request(self, method: str, url: str, body: dict[str, Any] | None = None) -> object:
        client = self._client.with_options(timeout=_TIMEOUT_S)
        if method == "GET":
            return await client.get(url, cast_to=object)
        return await client.post(url, body=body, cast_to=object)


def _window_in_row(row: Mapping[str, Any]) -> int | None:
    for name in _WINDOW_NAMES:
        if window := _positive(row.get(name)):
            return window
    # The Hugging Face router names one for each provider, and may choose any of them.
    providers = row.get("providers")
    if not isinstance(providers, list):
        return None
    rows = map(_mapping, cast(list[object], providers))
    windows = [window for row in rows if (window := _positive(row.get("context_length")))]
    return min(windows, default=None)


def _ollama_warnings(window: int) -> tuple[str, ...]:
    if window > _OLLAMA_DEFAULT_WINDOW:
        return ()
    return (
        f"Ollama runs this model with a window of {window} tokens and cuts longer prompts "
        "silently; restart it with OLLAMA_CONTEXT_LENGTH=32768 ollama serve",
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return cast(Mapping[str, Any], value) if isinstance(value, Mapping) else {}


def _positive(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None
