"""Model servers on this machine's usual ports, and the model that a run would use."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from rnj_agent.agent.cli.doctor.check import Check
from rnj_agent.agent.config import Config
from rnj_agent.agent.endpoint import is_loopback, resolve_endpoint
from rnj_agent.agent.errors import RnjError
from rnj_agent.agent.presets import DEFAULT_BUNDLED_MODEL, PRESETS, Preset

_TIMEOUT_S: Final = 0.3


def check_servers() -> list[Check]:
    """One line for each server that answers; loopback only, nothing is sent elsewhere."""
    return asyncio.run(ask_servers(PRESETS.values()))


async def ask_servers(presets: Iterable[Preset]) -> list[Check]:
    """All at once, so that the many that are not there cost one short wait."""
    import httpx

    local = [preset for preset in presets if is_loopback(preset.base_url)]
    async with httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as client:
        answers = await asyncio.gather(*(_ask(client, preset) for preset in local))
    return [
        Check(name="server", status="ok", detail=f"{preset.title} at {preset.base_url}: {listed}")
        for preset, listed in zip(local, answers, strict=True)
        if listed
    ]


async def _ask(client: Any, preset: Preset) -> str:
    """What it lists, in words; empty where nothing like a model server answers."""
    import httpx

    try:
        response = await client.get(preset.base_url + "/models")
        if response.status_code in {401, 403}:
            return f"wants a key ({preset.api_key_env or 'api_key_env'})"
        rows = response.json()["data"]
        names = [str(row["id"]) for row in rows]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return ""
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return f"{shown or 'no models'}; use --endpoint {preset.name}"


def check_model(config: Config) -> Check:
    """The model that ``fix`` and ``run`` would use, and whether it is there."""
    try:
        endpoint = resolve_endpoint(config)
    except RnjError as exc:
        return Check(name="model", status="missing", detail=exc.message, hint=exc.hint)
    if not endpoint.is_bundled:
        name = config.model.name or "the model it has"
        return Check(name="model", status="ok", detail=f"{name} at {endpoint.name}")
    return _check_bundled(config.model.name or DEFAULT_BUNDLED_MODEL)


def _check_bundled(name: str) -> Check:
    from rnj_agent.runtime.errors import RnjRuntimeError
    from rnj_agent.runtime.hub import resolve

    try:
        path = resolve(name)
    except RnjRuntimeError as exc:
        by_itself = " fix and run fetch it by themselves." if name == DEFAULT_BUNDLED_MODEL else ""
        return Check(
            name="model", status="warning", detail=f"{exc.message}{by_itself}", hint=exc.hint
        )
    return Check(name="model", status="ok", detail=f"{name} in the bundled runtime, from {path}")


def check_models_present() -> list[Check]:
    """The models of the catalogue that are on this machine."""
    from rnj_agent.runtime.hub import list_models

    present = [status.entry.name for status in list_models() if status.path is not None]
    detail = ", ".join(present) or "none yet"
    return [Check(name="models", status="ok", detail=detail)]
