"""The models within the app's reach: the catalogue, servers on this machine, and downloads.

A download runs in a process of its own, ``rnj-agent model pull``: it can be stopped at any time,
and the app's process never holds the runtime.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from rnj_agent.agent.errors import ModelUnavailableError
from rnj_agent.agent.presets import BUNDLED, PRESETS
from rnj_agent.agent.tui.models import ModelOffer, OnFetched

if TYPE_CHECKING:
    from rnj_agent.agent.config import Config
    from rnj_agent.runtime.hub import ModelStatus

_GIGABYTE: Final = 1e9
_ASK_TIMEOUT_S: Final = 0.5
_POLL_S: Final = 0.25
_STOP_TIMEOUT_S: Final = 5.0


class MachineModels:
    """Implements ``Models``."""

    def bundled(self) -> Sequence[ModelOffer]:
        from rnj_agent.runtime.hub import list_models

        return [_offer(status) for status in list_models() if status.entry.context_window]

    async def served(self, urls: Sequence[str] = ()) -> Sequence[ModelOffer]:
        import httpx

        from rnj_agent.agent.endpoint import is_loopback

        local = {name: preset.base_url for name, preset in PRESETS.items()}
        places = {url: url for url in urls} or {
            name: url for name, url in local.items() if is_loopback(url)
        }
        async with httpx.AsyncClient(timeout=_ASK_TIMEOUT_S, trust_env=False) as client:
            listed = await asyncio.gather(*(_names(client, url) for url in places.values()))
        return [
            ModelOffer(endpoint=endpoint, name=name, about=url if endpoint != url else "")
            for (endpoint, url), names in zip(places.items(), listed, strict=True)
            for name in names
        ]

    def missing(self, config: Config) -> ModelOffer | None:
        from rnj_agent.agent.assembly import bundled_model_name
        from rnj_agent.agent.endpoint import resolve_endpoint

        if not resolve_endpoint(config).is_bundled:
            return None
        name = bundled_model_name(config)
        offers = [offer for offer in self.bundled() if offer.name == name and offer.missing_bytes]
        return offers[0] if offers else None

    def facts(self) -> Sequence[str]:
        from rnj_agent.agent.cli.doctor import machine
        from rnj_agent.runtime.home import rnj_home

        checks = [
            machine.check_processor(),
            machine.check_memory(),
            machine.check_gpu(),
            machine.check_disk(rnj_home()),
        ]
        return [f"{check.name:10} {check.detail}" for check in checks]

    async def fetch(self, name: str, on_fetched: OnFetched) -> None:
        from rnj_agent.runtime.fetch.progress import folder_bytes
        from rnj_agent.runtime.home import rnj_home

        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "rnj_agent.agent.cli", "model", "pull", name),
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE,
            start_new_session=True,  # so that its own children end with it
        )
        said = asyncio.create_task(process.communicate())
        try:
            while not (await asyncio.wait([said], timeout=_POLL_S))[0]:
                on_fetched(folder_bytes(rnj_home() / "models" / name))
        except asyncio.CancelledError:
            await _stop(process, said)
            raise
        _, stderr = said.result()
        if process.returncode:
            lines = stderr.decode("utf-8", "replace").strip().split("\n")
            raise ModelUnavailableError("\n".join(lines[-2:]), hint=f"rnj-agent model pull {name}")


def _offer(status: ModelStatus) -> ModelOffer:
    entry = status.entry
    size = f"{entry.size_bytes / _GIGABYTE:.1f} GB"
    if status.path is not None:
        return ModelOffer(
            endpoint=BUNDLED, name=entry.name, about=f"{size}, here · {entry.description}"
        )
    state = "not fetched"
    if status.partial_bytes:
        state = f"{status.partial_bytes / entry.size_bytes:.0%} fetched"
    return ModelOffer(
        endpoint=BUNDLED,
        name=entry.name,
        about=f"{size}, {state} · {entry.description}",
        missing_bytes=entry.size_bytes,
    )


async def _names(client: Any, url: str) -> list[str]:
    """What a server lists; nothing where none answers, or not without a key."""
    import httpx

    try:
        response = await client.get(url.rstrip("/") + "/models")
        response.raise_for_status()
        return [str(row["id"]) for row in response.json()["data"]]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        return []


async def _stop(process: Process, said: asyncio.Task[tuple[bytes, bytes]]) -> None:
    for order in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, order)
        if (await asyncio.wait([said], timeout=_STOP_TIMEOUT_S))[0]:
            return
