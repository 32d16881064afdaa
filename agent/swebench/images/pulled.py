"""Images pulled from a registry, with retries, each once however many workers wait for it."""

from __future__ import annotations

import asyncio
import string
import threading
import time
from typing import Final

from rnj_agent.agent.errors import ConfigError
from rnj_agent.agent.events import Notice
from rnj_agent.agent.swebench.images.shared_work import SharedWork
from rnj_agent.agent.swebench.images.source import Say
from rnj_agent.agent.swebench.instance import Instance
from rnj_agent.sandbox.images.context_build import has_image
from rnj_agent.sandbox.images.pull import pull_image

DEFAULT_TEMPLATE: Final = "docker.io/swebench/sweb.eval.x86_64.{id_}:latest"
FIELDS: Final = ("id_", "instance_id", "repo", "version", "base_commit", "image")
"""What a template may name."""
NUM_PULLS: Final = 4
"""At the same time; each has several layers on their way by itself."""
PROGRESS_INTERVAL_S: Final = 5.0
_MIB: Final = 1024**2


class PulledImages:
    """Implements ``ImageSource``. An image that the engine has is used as it is.

    Args:
        template: of the image's name, over ``FIELDS`` (``id_`` is the id as the registry has it);
            empty: the row's ``image``, else ``DEFAULT_TEMPLATE``.

    Raises:
        ConfigError: the template is malformed, or names another field.
    """

    def __init__(self, template: str = "") -> None:
        _check_template(template)
        self._template = template
        self._work = SharedWork(NUM_PULLS)

    def name_of(self, instance: Instance) -> str:
        """The image that is pulled for an instance."""
        template = self._template or ("{image}" if instance.image else DEFAULT_TEMPLATE)
        id_ = instance.instance_id.replace("__", "_1776_").lower()
        return template.format(
            id_=id_,
            **{field: getattr(instance, field) for field in FIELDS if field != "id_"},
        )

    async def ensure(self, instance: Instance, say: Say) -> str:
        name = self.name_of(instance)
        if not await asyncio.to_thread(has_image, name):
            say(Notice(level="info", text=f"pulling {name}"))
            await self._work.do(name, say, _Pull(name))
        return name


class _Pull:
    """One pull as ``Work``: what it says is throttled."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._next_at = 0.0

    def __call__(self, say: Say, stop: threading.Event) -> None:
        def on_progress(done_bytes: int, total_bytes: int) -> None:
            if time.monotonic() >= self._next_at:
                self._next_at = time.monotonic() + PROGRESS_INTERVAL_S
                sizes = f"{done_bytes / _MIB:,.0f} of {total_bytes / _MIB:,.0f} MiB"
                say(Notice(level="info", text=f"pulling {self._name}: {sizes}"))

        def on_retry(problem: str, delay_s: float) -> None:
            text = f"pulling {self._name}: {problem}; again in {delay_s:g} s"
            say(Notice(level="warning", text=text))

        pull_image(self._name, on_progress=on_progress, on_retry=on_retry, stop=stop)


def _check_template(template: str) -> None:
    try:
        named = {
            field for _, field, _, _ in string.Formatter().parse(template) if field is not None
        }
    except ValueError as exc:
        raise ConfigError(f"The image template {template!r} is malformed: {exc}.") from exc
    if unknown := named - set(FIELDS):
        raise ConfigError(
            f"The image template {template!r} names {', '.join(sorted(unknown))}.",
            hint=f"it may name {', '.join(FIELDS)}",
        )
