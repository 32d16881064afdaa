"""The processor's kernels: for which instruction set they are compiled, or why they are not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from rnj_agent.agent.cli.doctor.check import Check

if TYPE_CHECKING:
    from rnj_agent.runtime.errors import RnjRuntimeError
    from rnj_agent.runtime.kernels.cpu.isa import Isa
    from rnj_agent.runtime.kernels.cpu.thread_choice import ThreadChoice

_NAME: Final = "kernels"
_GIGA: Final = 1e9
_SLOWER: Final = "models run several times slower"
_HUGE_PAGES: Final = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def check_kernels() -> list[Check]:
    """Compiles them if nobody did before: seconds."""
    from rnj_agent.runtime.errors import EngineError
    from rnj_agent.runtime.kernels.cpu.isa import VARIABLE, chosen_isa
    from rnj_agent.runtime.kernels.cpu.library import Kernels
    from rnj_agent.runtime.kernels.cpu.library_cache import open_library
    from rnj_agent.runtime.kernels.cpu.thread_choice import measure_threads

    try:
        isa = chosen_isa()
        if isa is None:
            detail = f"switched off by {VARIABLE}: {_SLOWER}"
            return [_warning(detail, hint=f"unset {VARIABLE}")]
        kernels = Kernels(isa=isa, library=open_library(isa))
    except EngineError as exc:
        return [_missing(exc)]
    return [_compiled(isa), _threads(measure_threads(kernels)), *_check_huge_pages()]


def _missing(error: RnjRuntimeError) -> Check:
    return _warning(f"not compiled, {_SLOWER}: {error.message}", hint=error.hint)


def _compiled(isa: Isa) -> Check:
    if isa == "plain":
        return _warning(f"plain C, for a processor without AVX2: {_SLOWER}", hint="")
    missed = ", for a processor without AVX-512 VNNI and BF16" if isa == "avx2" else ""
    return Check(name=_NAME, status="ok", detail=f"compiled for {isa}{missed}")


def _threads(choice: ThreadChoice) -> Check:
    """What was tried, and what the runtime decodes with for it."""
    tried = ", ".join(
        f"{trial.num_threads}{' pinned' * trial.is_pinned}: {trial.bytes_per_s / _GIGA:.0f} GB/s"
        for trial in choice.trials
    )
    where = "each kept on a core" if choice.is_pinned else "placed by the system"
    return Check(
        name="threads",
        status="ok",
        detail=f"{choice.num_threads} to decode, {where}, measured on a Q4_K product ({tried})",
    )


def _check_huge_pages() -> list[Check]:
    """The weights lie in huge pages where the system gives them."""
    try:
        setting = _HUGE_PAGES.read_text()
    except OSError:
        return []
    if "[never]" not in setting:
        return []
    hint = f"echo madvise | sudo tee {_HUGE_PAGES}"
    return [_warning("the system gives no huge pages: reading weights is slower", hint=hint)]


def _warning(detail: str, *, hint: str) -> Check:
    return Check(name=_NAME, status="warning", detail=detail, hint=hint)
