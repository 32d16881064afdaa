"""What a reply is made of: text and tool calls, whole or as they stream."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias, assert_never


@dataclass(frozen=True, slots=True)
class TextPart:
    text: str


@dataclass(frozen=True, slots=True)
class CallPart:
    name: str
    arguments: str
    """JSON text of an object."""


@dataclass(frozen=True, slots=True)
class CallStart:
    """A call whose arguments follow, as they are generated."""

    name: str


@dataclass(frozen=True, slots=True)
class CallArguments:
    """The next piece of the arguments of the call that began last."""

    text: str
    """All pieces of a call together: JSON text of an object, unless the reply was cut."""


Part: TypeAlias = TextPart | CallPart | CallStart | CallArguments


def collect(parts: Iterable[Part]) -> list[TextPart | CallPart]:
    """Neighbouring texts as one, streamed calls whole.

    The arguments of a call that was cut off stay as they are: JSON that does not parse.
    """
    whole: list[TextPart | CallPart] = []
    for part in parts:
        last = whole[-1] if whole else None
        match part:
            case TextPart(text) if isinstance(last, TextPart):
                whole[-1] = TextPart(last.text + text)
            case TextPart() | CallPart():
                whole.append(part)
            case CallStart(name):
                whole.append(CallPart(name, ""))
            case CallArguments(text):
                assert isinstance(last, CallPart), "arguments follow the start of their call"
                whole[-1] = CallPart(last.name, last.arguments + text)
            case _:
                assert_never(part)
    return whole
