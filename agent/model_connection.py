"""From configuration to a model that can be asked: endpoint, key, server's facts, client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import openai

from rnj_agent.agent.config import ModelSettings
from rnj_agent.agent.endpoint import ResolvedEndpoint, is_loopback, without_credentials
from rnj_agent.agent.errors import ModelError, ModelUnavailableError
from rnj_agent.agent.harness import settled_model
from rnj_agent.agent.model import ModelInfo
from rnj_agent.agent.model_client import OpenAIModel
from rnj_agent.agent.model_failures import FAILURES, Destination, never, translate
from rnj_agent.agent.server_probe import ServerFacts, ServerProbe, choose_model, root_of
from rnj_agent.agent.token_count import EstimatingCounter, ServerCounter, TokenCounter

if TYPE_CHECKING:
    from openai import AsyncOpenAI

DEFAULT_CONTEXT_WINDOW: Final = 8192
"""Tokens, where neither the person nor the server says: small enough for most servers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    model: OpenAIModel
    warnings: tuple[str, ...]
    """One line each, for the person."""


async def connect(
    endpoint: ResolvedEndpoint,
    settings: ModelSettings,
    *,
    api_key: str | None,
    profile: str = "",
    is_gone: Callable[[], bool] = never,
) -> Connected:
    """Ask the server what it is and return the model.

    Args:
        endpoint: where it is.
        settings: what the person set.
        api_key: None: it needs none.
        profile: which says what the person left open; empty: by the model's name.
        is_gone: see ``Destination``.

    Raises:
        ModelError: nothing answers, the key is refused, or which model is meant is not clear.
        ConfigError: there is no profile of that name.
    """
    client = _client(endpoint, settings, api_key)
    try:
        return await _connect(client, endpoint, settings, profile, is_gone)
    except BaseException:
        await client.close()
        raise


async def _connect(
    client: AsyncOpenAI,
    endpoint: ResolvedEndpoint,
    settings: ModelSettings,
    profile: str,
    is_gone: Callable[[], bool],
) -> Connected:
    probe = ServerProbe(client, base_url=endpoint.base_url)
    try:
        rows = await probe.list_models()
    except FAILURES as exc:
        raise translate(exc, _destination(endpoint, settings, settings.name, ())) from exc
    listed = tuple(str(row["id"]) for row in rows if row.get("id"))
    name = choose_model(settings.name, listed)
    if not name:
        raise _unclear_model(endpoint, listed)
    facts = await probe.facts(rows, name)
    counter = _counter(client, facts, name, endpoint.base_url)
    window = settings.context_window or facts.context_window or DEFAULT_CONTEXT_WINDOW
    model = OpenAIModel(
        client,
        info=ModelInfo(
            name=name,
            endpoint=without_credentials(endpoint.base_url),
            context_window=window,
            exact_counts=counter.exact,
            takes_reply_form=facts.is_ours,
        ),
        settings=settled_model(settings, name, profile=profile),
        destination=replace(_destination(endpoint, settings, name, listed), is_gone=is_gone),
        counter=counter,
    )
    return Connected(model=model, warnings=_warnings(settings, facts, name))


def _client(
    endpoint: ResolvedEndpoint, settings: ModelSettings, api_key: str | None
) -> AsyncOpenAI:
    timeout = openai.Timeout(settings.timeout_s, connect=settings.connect_timeout_s)
    return openai.AsyncOpenAI(
        base_url=endpoint.base_url,
        api_key=api_key or "no-key",
        max_retries=0,  # retries are ours, so that the person sees them
        timeout=timeout,
        # A proxy from the environment is for the outside, not for this machine's own servers.
        http_client=openai.DefaultAsyncHttpxClient(
            timeout=timeout, trust_env=not is_loopback(endpoint.base_url)
        ),
    )


def _counter(client: AsyncOpenAI, facts: ServerFacts, model: str, base_url: str) -> TokenCounter:
    if facts.dialect is None:
        return EstimatingCounter()
    return ServerCounter(client, model=model, root_url=root_of(base_url), dialect=facts.dialect)


def _destination(
    endpoint: ResolvedEndpoint, settings: ModelSettings, model: str, listed: tuple[str, ...]
) -> Destination:
    preset, url = endpoint.preset, without_credentials(endpoint.base_url)
    return Destination(
        title=f"{preset.title} at {url}" if preset else url,
        model=model,
        api_key_env=endpoint.api_key_env,
        start_hint=preset.start_hint if preset else "",
        missing_model_hint=preset.missing_model_hint if preset else "",
        known_models=listed,
        timeout_s=settings.timeout_s,
    )


def _unclear_model(endpoint: ResolvedEndpoint, listed: tuple[str, ...]) -> ModelError:
    title = endpoint.preset.title if endpoint.preset else endpoint.base_url
    if len(listed) == 0:
        hint = endpoint.preset.missing_model_hint if endpoint.preset else ""
        return ModelUnavailableError(
            f"{title} lists no models, so which one is meant is not clear.",
            hint=hint.format(model="NAME") or "--model NAME",
        )
    shown = ", ".join(listed[:8]) + (", …" if len(listed) > 8 else "")
    return ModelUnavailableError(
        f"{title} has {len(listed)} models: {shown}.", hint=f"--model {listed[0]}"
    )


def _warnings(settings: ModelSettings, facts: ServerFacts, name: str) -> tuple[str, ...]:
    warnings = list(facts.warnings)
    window, wanted = facts.context_window, settings.context_window
    if facts.model_names and name not in facts.model_names:
        warnings.append(
            f"the server does not list '{name}', only {', '.join(facts.model_names[:4])}"
        )
    if wanted and window and wanted > window:
        warnings.append(f"model.context_window is {wanted}, but the server says {window}")
    if not wanted and not window:
        warnings.append(
            f"the server does not say its window: assuming {DEFAULT_CONTEXT_WINDOW} tokens "
            "(set model.context_window)"
        )
    return tuple(warnings)
