"""``rnj-agent model quantize``: an FP8 checkpoint from a bf16 one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from rnj_agent.agent.cli.quantize_progress import QuantizeLine

if TYPE_CHECKING:
    from rnj_agent.runtime.quantize.run import Quantized

_SCHEMES: Final = ("fp8-dynamic",)
"""As in the runtime, whose import would make ``--help`` slow; a test compares them."""
_GIGABYTE: Final = 1e9


@click.command("quantize", short_help="Write an FP8 checkpoint of a bf16 one.")
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST", type=click.Path(path_type=Path))
@click.option(
    "--scheme",
    type=click.Choice(_SCHEMES),
    default=_SCHEMES[0],
    show_default=True,
    expose_value=False,
    help="FP8 e4m3 weights, a scale a channel; activations per token at run time.",
)
@click.option("--force", is_flag=True, help="Replace the model that is at DST.")
def quantize_command(source: str, target: Path, force: bool) -> None:
    """Write an FP8 checkpoint of SRC (a name or a folder with safetensors) to DST.

    The projections at half their size, for the runtime here, vLLM, and transformers with
    compressed-tensors. Embeddings, norms and the head stay as they are.

    Memory is bounded, whatever the model's size. Interrupted, it goes on where it was; DST appears
    only when it is whole, and its path goes to stdout. GGUF files are not taken.
    """
    from rnj_agent.runtime.hub import resolve
    from rnj_agent.runtime.machine import calm_worker_threads

    path = resolve(source)
    calm_worker_threads()
    from rnj_agent.runtime.quantize.run import quantize_checkpoint

    target = target.expanduser()
    begun = time.monotonic()
    try:
        with QuantizeLine() as on_progress:
            made = quantize_checkpoint(
                path, target, replace=force, on_progress=on_progress, on_notice=_say
            )
    except KeyboardInterrupt:
        _say(f"What is done is kept in {target}.partial: the same command goes on from there.")
        raise
    _say(_summary(made, time.monotonic() - begun))
    click.echo(made.path)


def _summary(made: Quantized, wall_s: float) -> str:
    return (
        f"{made.num_quantized} of {made.num_tensors} tensors are FP8 now: "
        f"{made.source_bytes / _GIGABYTE:.2f} GB became {made.written_bytes / _GIGABYTE:.2f} GB "
        f"in {wall_s:.0f} s."
    )


def _say(line: str) -> None:
    click.echo(line, err=True)
