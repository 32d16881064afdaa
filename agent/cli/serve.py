"""``rnj-agent serve``: a model behind the OpenAI HTTP API, in the foreground."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rnj_agent.agent.presets import DEFAULT_BUNDLED_MODEL
from rnj_agent.runtime.server.options import (
    DEFAULT_HOST,
    DEFAULT_MAX_QUEUE,
    DEFAULT_PORT,
    DEVICES,
    KV_DTYPES,
    QUANTS,
    ServeOptions,
)


@click.command("serve")
@click.option(
    "-m",
    "--model",
    default=DEFAULT_BUNDLED_MODEL,
    show_default=True,
    metavar="NAME|PATH",
    help="A name from `rnj-agent model list`, or a model file or folder.",
)
@click.option("--host", default=DEFAULT_HOST, show_default=True, help="Address to listen on.")
@click.option("--port", default=DEFAULT_PORT, show_default=True, help="0: any free one.")
@click.option(
    "--uds",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PATH",
    help="Listen on a Unix socket that only you can open, instead of a port.",
)
@click.option("--api-key", help="What clients must send; other users here can read it in `ps`.")
@click.option(
    "--api-key-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, readable=True),
    metavar="FILE",
    help="A file with that key in its first line.",
)
@click.option(
    "--context",
    type=int,
    metavar="TOKENS",
    help="Prompt and reply together.  [default: the model's, at most 32768, as memory allows]",
)
@click.option(
    "--kv-memory-gib",
    type=float,
    metavar="GIB",
    help="Memory for keys and values of all requests.  [default: by the machine]",
)
@click.option(
    "--kv-dtype",
    type=click.Choice(KV_DTYPES),
    default="auto",
    show_default=True,
    help="How they are kept; fp8 and int8 take half the memory.",
)
@click.option(
    "--device",
    type=click.Choice(DEVICES),
    default="auto",
    show_default=True,
    help="Where the model runs; auto: on a GPU if there is one.",
)
@click.option(
    "--quant",
    type=click.Choice(QUANTS),
    help="How weights are held.  [default: as stored; without compiled kernels, in 8 bits]",
)
@click.option(
    "--max-num-seqs",
    type=int,
    help="Replies that are computed at a time; more wait.  [default: 8; on a GPU 32]",
)
@click.option(
    "--max-queue",
    default=DEFAULT_MAX_QUEUE,
    show_default=True,
    help="Replies that may wait; more are answered with 503.",
)
@click.option(
    "--no-speculation",
    "speculation",
    flag_value=False,
    default=True,
    help="Never guess tokens from the prompt.",
)
@click.option(
    "--no-guided",
    "guided",
    flag_value=False,
    default=True,
    help="Let tool calls be what the model makes them; refuses JSON schemas.",
)
def command(*, api_key_file: Path | None, **settings: Any) -> int:
    """Serve a model behind the OpenAI HTTP API, until Ctrl-C.

    Refuses an address that other machines reach unless a key is set. It speaks plain HTTP: for TLS
    put a proxy such as Caddy or nginx in front.
    """
    from rnj_agent.agent.cli.provision import ensure_model
    from rnj_agent.runtime.server.process import serve

    settings["api_key"] = settings["api_key"] or _read_key(api_key_file)
    options = ServeOptions(**settings)
    options.check()
    ensure_model(options.model)
    return serve(options)


def _read_key(path: Path | None) -> str | None:
    if path is None:
        return None
    key = path.read_text(encoding="utf-8").partition("\n")[0].strip()
    if not key:
        raise click.BadParameter(f"{path} is empty", param_hint="--api-key-file")
    return key
