"""The kernels of this process: opened, and built if need be, when they are first asked for."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from rnj_agent.runtime.kernels.cpu.compiler import CompilerError
from rnj_agent.runtime.kernels.cpu.isa import VARIABLE, Isa, chosen_isa
from rnj_agent.runtime.kernels.cpu.library_cache import open_library

CFunction: TypeAlias = Callable[..., None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernels:
    isa: Isa
    library: ctypes.CDLL

    def function(self, name: str, *argument_types: type) -> CFunction:
        """``void name(...)`` of the library. Pointers are ``ctypes.c_void_p``: pass ``data_ptr()``.

        The interpreter's lock is let go while it runs.
        """
        function = self.library[name]
        function.argtypes = argument_types
        function.restype = None
        return function


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelsStatus:
    kernels: Kernels | None
    reason: str
    """Why there are none; empty where there are."""
    hint: str
    """What to do about it; may be empty."""


def kernels() -> Kernels | None:
    """Those that this process is to use; None: PyTorch alone (``kernels_status`` says why)."""
    return kernels_status().kernels


@cache
def kernels_status() -> KernelsStatus:
    """Tried once, by whoever asks first. Building takes seconds.

    Raises:
        EngineError: ``RNJ_ISA`` is not one of this processor's instruction sets.
    """
    isa = chosen_isa()
    if isa is None:
        return KernelsStatus(kernels=None, reason=f"{VARIABLE} says so", hint="")
    try:
        return KernelsStatus(kernels=open_kernels(isa), reason="", hint="")
    except CompilerError as exc:
        return KernelsStatus(kernels=None, reason=exc.message, hint=exc.hint)


@cache
def open_kernels(isa: Isa) -> Kernels:
    """For one instruction set, whether or not the processor has it.

    Raises:
        CompilerError: it cannot be built.
    """
    return Kernels(isa=isa, library=open_library(isa))


def slower_notice() -> str | None:
    """One line where kernels are missed, for whoever loads a model; None where they are there."""
    status = kernels_status()
    if status.kernels:
        return None
    hint = f" ({status.hint})" if status.hint else ""
    return f"without compiled kernels, models run several times slower: {status.reason}{hint}"
