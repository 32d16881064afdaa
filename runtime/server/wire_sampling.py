"""The fields that say how tokens are drawn: the same for chat and for plain completions."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BeforeValidator, Field, StringConstraints

from rnj_agent.runtime.errors import RequestError
from rnj_agent.runtime.generation_config import GenerationConfig
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.server.wire import INT64, Wire

MAX_CHOICES = 8
"""``n`` at most: the choices of one request decode side by side."""
MAX_STOP_STRINGS = 16
MAX_STOP_CHARS = 1024
MAX_BIASED_TOKENS = 1024
MAX_TOP_LOGPROBS = 20

PositiveInt = Annotated[int, Field(ge=1, lt=INT64)]
Penalty = Annotated[float, Field(ge=-2, le=2)]


def _as_list(value: object) -> object:
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


class SamplingFields(Wire):
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1, lt=INT64)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=10)] | None = None
    logit_bias: (
        Annotated[
            dict[str, Annotated[float, Field(ge=-100, le=100)]], Field(max_length=MAX_BIASED_TOKENS)
        ]
        | None
    ) = None
    seed: Annotated[int, Field(ge=-INT64, lt=INT64)] | None = None
    max_tokens: PositiveInt | None = None
    stop: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=MAX_STOP_CHARS)]],
        Field(max_length=MAX_STOP_STRINGS),
        BeforeValidator(_as_list),
    ] = Field(default_factory=list[str])
    ignore_eos: bool | None = None
    """As in vLLM, for measurements: go on until ``max_tokens``."""

    @property
    def num_choices(self) -> int:
        return self.n or 1

    def drawn_with(
        self,
        defaults: GenerationConfig,
        *,
        vocab_size: int,
        max_tokens: int | None,
        logprobs: int | None,
    ) -> SamplingParams:
        """The parameters, with the checkpoint's own where the client says nothing.

        Raises:
            RequestError: ``logit_bias`` names what is no token.
        """
        return SamplingParams(
            temperature=_or(self.temperature, defaults.temperature),
            top_p=_or(self.top_p, defaults.top_p),
            top_k=max(0, _or(self.top_k, defaults.top_k)),
            min_p=_or(self.min_p, defaults.min_p),
            presence_penalty=_or(self.presence_penalty, 0.0),
            frequency_penalty=_or(self.frequency_penalty, 0.0),
            repetition_penalty=_or(self.repetition_penalty, defaults.repetition_penalty),
            logit_bias=_bias(self.logit_bias or {}, vocab_size),
            seed=self.seed,
            max_tokens=max_tokens,
            stop=tuple(self.stop),
            ignore_eos=bool(self.ignore_eos),
            logprobs=logprobs,
        )


def _bias(bias: dict[str, float], vocab_size: int) -> dict[int, float]:
    return {_token_id(key, vocab_size): value for key, value in bias.items()}


def _token_id(key: str, vocab_size: int) -> int:
    if key.isascii() and key.isdecimal() and len(key) < 12 and int(key) < vocab_size:
        return int(key)
    raise RequestError(
        f"logit_bias: {key[:40]!r} is no token id; they are 0 to {vocab_size - 1}.",
        param="logit_bias",
        code="invalid_value",
    )


_T = TypeVar("_T")
_D = TypeVar("_D")


def _or(value: _T | None, default: _D) -> _T | _D:
    return default if value is None else value
