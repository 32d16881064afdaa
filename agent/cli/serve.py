"""``rnj-agent serve``: a model behind the OpenAI HTTP API, in the foreground."""

from __future__ import annotations

from pathlib import Path

import click

from rnj_agent.agent.presets import DEFAULT_BUNDLED_MODEL


@click.command("serve")
@click.option(
    "-m",
    "--model",
    default=DEFAULT_BUNDLED_MODEL,
    show_default=True,
    metavar="NAME|PATH",
    help="A name from `rnj-agent model list`, or a model file or folder.",
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, help="0: any free one.")
@click.option("--api-key", help="What clients must send; other users here can read it in `ps`.")
@click.option(
    "--api-key-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, readable=True),
    help="A file with that key in its first line.",
)
@click.option("--context", type=int, metavar="TOKENS", help="Prompt and reply together.")
def command(
    model: str,
    host: str,
    port: int,
    api_key: str | None,
    api_key_file: Path | None,
    context: int | None,
) -> int:
    """Serve a model behind the OpenAI HTTP API, until Ctrl-C.

    Refuses an address that other machines reach unless a key is set.
    """
    from rnj_agent.agent.cli.provision import ensure_model
    from rnj_agent.runtime.server.options import ServeOptions
    from rnj_agent.runtime.server.process import serve

    options = ServeOptions(
        model=model,
        host=host,
        port=port,
        api_key=api_key or _read_key(api_key_file),
        context=context,
    )
    options.check()
    ensure_model(model)
    return serve(options)


def _read_key(path: Path | None) -> str | None:
    if path is None:
        return None
    key = path.read_text(encoding="utf-8").partition("\n")[0].strip()
    if not key:
        raise click.BadParameter(f"{path} is empty", param_hint="--api-key-file")
    return key
