"""What a trajectory of mini-SWE-agent (format 1.1) tells, in the words of ``Outcome``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_MAX_DETAIL_CHARS: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    ending: str
    """Its exit status; ``crashed`` where it left none."""
    num_steps: int
    num_prompt_tokens: int
    num_cached_tokens: int
    num_completion_tokens: int
    num_format_errors: int
    detail: str
    """The exception that ended it; empty where none did."""


def read_trajectory(path: Path) -> Mapping[str, Any]:
    """Empty where it ended before its first step, or while it wrote."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}


def tally_of(trajectory: Mapping[str, Any]) -> Tally:
    """Count, whether it is whole or not."""
    info = trajectory.get("info", {})
    notes = [message.get("extra", {}) for message in trajectory.get("messages", ())]
    usages = [_usage(note) for note in notes]
    last = notes[-1] if notes else {}
    return Tally(
        ending=info.get("exit_status") or "crashed",
        num_steps=info.get("model_stats", {}).get("api_calls", 0),
        num_prompt_tokens=sum(usage.get("prompt_tokens") or 0 for usage in usages),
        num_cached_tokens=sum(_cached(usage) for usage in usages),
        num_completion_tokens=sum(usage.get("completion_tokens") or 0 for usage in usages),
        num_format_errors=sum(note.get("interrupt_type") == "FormatError" for note in notes),
        detail=str(last.get("exception_str", ""))[:_MAX_DETAIL_CHARS],
    )


def _usage(note: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of the reply that a message keeps: a rejected reply is kept by its correction."""
    response = note.get("response")
    return (response.get("usage") or {}) if isinstance(response, dict) else {}


def _cached(usage: Mapping[str, Any]) -> int:
    return (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
