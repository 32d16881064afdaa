"""The model behind the API: loading, loaded, or failed to load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rnj_agent.runtime.completion import complete
from rnj_agent.runtime.engine import context_length_exceeded
from rnj_agent.runtime.errors import RequestError, RnjRuntimeError
from rnj_agent.runtime.loading import LoadedModel
from rnj_agent.runtime.scheduler import Scheduler
from rnj_agent.runtime.server.middleware import Activity


class ModelLoadingError(RnjRuntimeError):
    """Ask again in a moment."""


class ServedModel:
    """A loaded model and the line of requests for it."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.scheduler = Scheduler(
            lambda request: complete(loaded.engine, loaded.tokenizer, request)
        )

    @property
    def max_model_len(self) -> int:
        return self.loaded.engine.max_model_len

    def prompt_ids(
        self,
        messages: Sequence[dict[str, Any]],
        tools: Sequence[dict[str, Any]] | None,
        *,
        add_generation_prompt: bool = True,
    ) -> list[int]:
        """Render and tokenise a conversation.

        Raises:
            TemplateError: the model's template refuses it.
            RequestError: it is so long that tokenising it would only cost time.
        """
        prompt = self.loaded.chat_template.render(
            messages, tools, add_generation_prompt=add_generation_prompt
        )
        self._check_bytes(len(str(prompt).encode()))
        return self.loaded.tokenizer.encode_prompt(prompt)

    def text_ids(self, text: str) -> list[int]:
        self._check_bytes(len(text.encode()))
        return self.loaded.tokenizer.encode(text)

    def _check_bytes(self, num_bytes: int) -> None:
        """No token is longer than the longest: enough bytes cannot fit, whatever the tokens are."""
        at_least = num_bytes // self.loaded.max_token_bytes
        if at_least >= self.max_model_len:
            raise context_length_exceeded(at_least, self.max_model_len, at_least=True)


@dataclass(slots=True, kw_only=True)
class Service:
    """What the HTTP handlers share."""

    model_name: str
    aliases: frozenset[str] = frozenset()
    """Other names that clients may use for the model, such as its path."""
    model: ServedModel | None = None
    progress: float = 0.0
    """Of loading, 0 to 1."""
    activity: Activity = field(default_factory=Activity)

    @property
    def status(self) -> Literal["loading", "ok"]:
        return "loading" if self.model is None else "ok"

    def loaded_model(self) -> ServedModel:
        """The model, once it is there.

        Raises:
            ModelLoadingError: not yet.
        """
        if self.model is None:
            raise ModelLoadingError(f"{self.model_name} is loading ({self.progress:.0%}).")
        return self.model

    def check_model_name(self, name: str | None) -> None:
        """Raise RequestError for the name of a model that is not served here."""
        if name is not None and name != self.model_name and name not in self.aliases:
            raise RequestError(
                f"There is no model {name!r} here; this server serves {self.model_name!r}.",
                param="model",
                code="model_not_found",
            )
