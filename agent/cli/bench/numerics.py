"""``rnj-agent bench numerics``: what a number format does to a model's answers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from rnj_agent.agent.cli.bench.output import FILE, stopwatch, write_results
from rnj_agent.agent.cli.bench.synthetic import SHAPES

if TYPE_CHECKING:
    from rnj_agent.runtime.numerics.run import Open

REFERENCES: Final = ("bf16", "fp32")
SUBJECTS: Final = ("fp8", "int8")
NUM_TOKENS: Final = 1024
"""As in the runtime, whose import would make ``--help`` slow; a test compares them."""


@click.command("numerics")
@click.argument("model", required=False)
@click.option(
    "--quant",
    type=click.Choice(SUBJECTS),
    default="fp8",
    show_default=True,
    help="What is judged.",
)
@click.option(
    "--reference",
    "references",
    multiple=True,
    type=click.Choice(REFERENCES),
    help="What is right; may be given several times.  [default: both]",
)
@click.option("--tokens", "num_tokens", default=NUM_TOKENS, show_default=True, help="Of the text.")
@click.option("--synthetic", "shape", type=click.Choice(SHAPES), help="Random weights, no MODEL.")
@click.option("--layers", "num_layers", type=int, help="Of the synthetic model, only so many.")
@click.option("--device", help="Where.  [default: cuda where there is one]")
@click.option("--json", "json_path", type=FILE, help="Write everything as JSON; - is stdout.")
def numerics_command(
    *,
    references: tuple[str, ...],
    json_path: Path | None,
    quant: str,
    device: str | None,
    **settings: Any,
) -> None:
    """Compare MODEL (a name or a path) in FP8 with itself in bf16 and in fp32.

    Reads a text that comes with rnj-agent, and says layer by layer how large the errors are, and at
    the end how far the distributions of the next token drift apart (KL in nats), how often the most
    probable token is the same, and the perplexity of the text. FP8 means weights and activations
    (W8A8), as a GPU computes; without one that is emulated, slowly.

    The table goes to stdout, progress to stderr.
    """
    from rnj_agent.runtime.machine import calm_worker_threads

    calm_worker_threads()

    from rnj_agent.runtime.models.loading import default_device
    from rnj_agent.runtime.numerics.report import as_json, as_table
    from rnj_agent.runtime.numerics.run import NumericsOptions, run

    open_model, token_ids, text = _model_and_text(**settings)
    options: Any = NumericsOptions(
        subject=quant,  # pyright: ignore[reportArgumentType] - click has checked both
        references=references or REFERENCES,  # pyright: ignore[reportArgumentType]
        device=device or default_device(),
    )
    report = run(open_model, token_ids, options=options, text=text, progress=stopwatch())
    write_results(as_table(report), as_json(report), json_path)


def _model_and_text(
    *, model: str | None, shape: str | None, num_layers: int | None, num_tokens: int
) -> tuple[Open, list[int], str]:
    """How to open it, what it reads, and words for that."""
    if (model is None) == (shape is None):
        raise click.UsageError("Name a MODEL, or a shape with --synthetic.")
    if shape is not None:
        from rnj_agent.runtime.bench.synthetic.checkpoint import SyntheticCheckpoint
        from rnj_agent.runtime.bench.synthetic.text import SyntheticText

        make = partial(SyntheticCheckpoint, shape, num_layers=num_layers, recites=False)
        ids = SyntheticText(make()).prompt(num_tokens, salt=0)
        return make, ids, f"{num_tokens} random tokens"
    assert model is not None
    from rnj_agent.agent.cli.provision import ensure_model
    from rnj_agent.runtime.numerics.run import text_ids
    from rnj_agent.runtime.weights.checkpoint import open_checkpoint

    path = ensure_model(model)
    ids = text_ids(path, num_tokens=num_tokens)
    return partial(open_checkpoint, path), ids, f"sample.txt, {num_tokens} tokens"
