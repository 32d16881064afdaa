"""What all answers share on the wire: head, usage, errors."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any

from rnj_agent.runtime.outputs import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyHead:
    """What all chunks of one reply share."""

    model: str
    id: str
    created: int
    """Unix seconds."""

    @classmethod
    def new(cls, model: str, *, prefix: str) -> ReplyHead:
        """Of a reply that begins now; ``prefix`` tells which kind its id is of."""
        return cls(model=model, id=f"{prefix}-{uuid.uuid4().hex}", created=int(time.time()))

    def body(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }


def usage_dict(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.num_prompt_tokens,
        "completion_tokens": usage.num_completion_tokens,
        "total_tokens": usage.num_prompt_tokens + usage.num_completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.num_cached_tokens},
    }


def error_body(
    message: str, kind: str, *, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
