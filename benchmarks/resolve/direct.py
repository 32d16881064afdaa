"""The direct answer: one question with issue and files in it, one whole file back.

No loop, no tools, no tests: what the model knows. Sampled several times, an oracle may pick.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks.resolve.outcome import Outcome, Server
from benchmarks.resolve.patches import patch_between
from benchmarks.resolve.tasks import Task

_MAX_REPLY_TOKENS: Final = 1536
_TIMEOUT_S: Final = 3600.0
_BLOCK: Final = re.compile(r"```[\w+.#-]*\n(.*?)(?:\n```|\Z)", re.DOTALL)


class DirectAnswer:
    """Args: temperature, sample: of sampling; greedy is sample 0."""

    def __init__(self, server: Server, *, temperature: float = 0.0, sample: int = 0) -> None:
        self._server = server
        self._temperature = temperature
        self._seed = server.seed + sample
        self.name = "direct" if temperature == 0 else f"direct-{sample}"

    async def solve(self, task: Task, directory: Path) -> Outcome:
        started_s = time.monotonic()
        reply = await self._ask(_question(task))
        text: str = reply["choices"][0]["message"]["content"] or ""
        (directory / "reply.txt").write_text(text, encoding="utf-8")
        after = _answered(task.sources, text)
        usage = reply["usage"]
        return Outcome(
            task_id=task.id,
            harness=self.name,
            patch=patch_between(task.sources, after),
            ending="answered" if after != task.sources else "unchanged",
            num_steps=1,
            num_prompt_tokens=usage["prompt_tokens"],
            num_cached_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0),
            num_completion_tokens=usage["completion_tokens"],
            num_format_errors=int(_BLOCK.search(text) is None),
            seconds=time.monotonic() - started_s,
        )

    async def _ask(self, question: str) -> dict[str, Any]:
        server = self._server
        body = {
            "model": server.model,
            "messages": [{"role": "user", "content": question}],
            "temperature": self._temperature,
            "seed": self._seed,
            "max_tokens": _MAX_REPLY_TOKENS,
        }
        async with httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as client:
            response = await client.post(
                f"{server.base_url}/chat/completions",
                json=body,
                headers={"Authorization": f"Bearer {server.api_key}"},
            )
        response.raise_for_status()
        return response.json()


def _question(task: Task) -> str:
    shown = "\n\n".join(f"{path}:\n```\n{text}\n```" for path, text in task.sources.items())
    where = (
        "Answer with the whole corrected file in one code block."
        if len(task.sources) == 1
        else "Answer with the path of the one file to change on a line of its own, and below it "
        "the whole corrected file in one code block."
    )
    return f"Fix this issue.\n\n{task.issue}\n\n{shown}\n\n{where}"


def _answered(sources: Mapping[str, str], text: str) -> Mapping[str, str]:
    """The files with the reply's first block in the place of the file that it names, or is like."""
    found = _BLOCK.search(text)
    if found is None:
        return sources
    before = text[: found.start()]
    named = [path for path in sources if path in before]
    text = found[1].rstrip("\n") + "\n"
    path = (
        max(named, key=before.rfind)
        if named
        else max(sources, key=lambda path: SequenceMatcher(None, sources[path], text).ratio())
    )
    return {**sources, path: text}
