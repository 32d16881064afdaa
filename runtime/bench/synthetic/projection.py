"""What a model that was cut to a few layers would decode with all of them: arithmetic, and said so.

A decode pass reads its weights and its cache and does little else, so what it takes grows with what
it reads: the share of the ceiling that the cut model reaches is taken for the whole one's, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rnj_agent.runtime.bench.synthetic.ceilings import Ceilings
from rnj_agent.runtime.bench.synthetic.figure import Figure
from rnj_agent.runtime.bench.synthetic.work import Work
from rnj_agent.runtime.config import ModelConfig


def whole_work(work: Work, config: ModelConfig, *, head_bytes: int) -> Work:
    """The work of the model with all its layers.

    Args:
        work: of the model that was cut.
        config: of the whole one.
        head_bytes: of what a pass reads once, however many layers there are.
    """
    times = config.num_hidden_layers / work.config.num_hidden_layers
    return replace(
        work,
        config=config,
        pass_bytes=head_bytes + round((work.pass_bytes - head_bytes) * times),
        kv_bytes_per_token=round(work.kv_bytes_per_token * times),
    )


def projected(figure: Figure, contexts: Sequence[int], whole: Work, ceilings: Ceilings) -> Figure:
    """A decode figure of the whole model, at the share of the ceiling that was measured.

    Args:
        figure: as measured, with its limit.
        contexts: cached tokens of each sequence.
        whole: the model with all its layers.
        ceilings: of this device.
    """
    limit = whole.decode_limit(contexts, ceilings)
    share = figure.share or 0.0
    return Figure(
        group=figure.group,
        name=f"{figure.name}, {whole.config.num_hidden_layers} layers",
        unit=figure.unit,
        values=(limit.value * share,),
        limit=limit,
        detail=f"projected: {whole.pass_bytes / 1e9:.2f} GB a pass",
    )
