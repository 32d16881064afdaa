"""Events to JSON lines and back: the form in which sessions are kept and ``--json`` speaks."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import fields
from typing import Annotated, Any, Final

from rnj_agent.agent.errors import SessionError
from rnj_agent.agent.events import Event

_KIND: Final = re.compile(rb'"kind":"(\w+)"\}$')
_KIND_BYTES: Final = 64
"""A line ends with its event's kind, which lies within so many bytes."""


def event_to_json(event: Event) -> str:
    """One line, without its line break. Halves of split characters become ``?``."""
    line = _ENCODER.encode(_shallow(event))
    return line.encode("utf-8", "replace").decode("utf-8")


def _shallow(value: Any) -> dict[str, Any]:
    """A dataclass by its fields; what lies inside is asked for in turn. One a token: it is hot."""
    return {name: getattr(value, name) for name in _field_names(type(value))}


@functools.cache
def _field_names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_shallow)


def event_from_json(line: str | bytes) -> Event:
    """The event of one line.

    Raises:
        SessionError: the line is no event of this version.
    """
    from pydantic import ValidationError

    try:
        return _adapter().validate_json(line)
    except ValidationError as exc:
        problem = exc.errors(include_url=False)[0]
        place = ".".join(map(str, problem["loc"])) or "line"
        raise SessionError(f"not an event: {place}: {problem['msg']}") from exc


def kind_of(line: bytes) -> str:
    """The ``kind`` of a line's event, without reading the rest; empty where there is none."""
    found = _KIND.search(line, max(0, len(line) - _KIND_BYTES))
    return found[1].decode() if found else ""


@functools.cache
def _adapter() -> Any:
    """Made on first use: the schema takes longer to build than a short command runs."""
    from pydantic import Field, TypeAdapter

    return TypeAdapter(Annotated[Event, Field(discriminator="kind")])
