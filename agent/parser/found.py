"""What the parser hands on: a call that can be run, or one that the model must hear about."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCall:
    start: int
    """Where the call begins in the reply, with the tag or fence around it."""
    end: int
    """Where it ends; what follows is dropped."""
    name: str
    arguments: str
    """JSON text of an object."""
    is_block: bool = False
    """Whether it is a plain bash block."""
    repaired: tuple[str, ...] = ()
    """What had to be mended, in words; empty for a call in the form that was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenCall:
    """A call was begun, and nothing runnable can be made of it."""

    end: int
    why: str
    """One clause for the model."""
