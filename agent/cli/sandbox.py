"""``rnj-agent sandbox``: what sandboxes are made from, and what dead runs left."""

from __future__ import annotations

import click

from rnj_agent.agent.cli.options import json_option


@click.group("sandbox")
def command() -> None:
    """Build, list and remove what sandboxes are made from."""


@command.command("build", short_help="Build the default Docker image.")
@click.option("--tag", default="", help="Name for the image.  [default: the one that runs use]")
def build_command(tag: str) -> None:
    """Build the default Docker image: git, Python, pytest, build tools, ripgrep.

    From a Dockerfile, or with debootstrap where no registry answers. Without Docker there is
    nothing to build: bubblewrap uses this machine's own system, read-only.
    """
    from rnj_agent.sandbox.images.build import DEFAULT_IMAGE, build_image

    name = tag or DEFAULT_IMAGE
    build_image(name, progress=lambda line: click.echo(line, err=True))
    click.echo(name)


@command.command("list", short_help="List images, and which sandboxes work here.")
@json_option
def list_command(as_json: bool) -> None:
    """List the images that this program built, and which sandboxes work here."""
    import dataclasses
    import json

    from rnj_agent.sandbox.errors import SandboxUnavailableError
    from rnj_agent.sandbox.images.store import list_images
    from rnj_agent.sandbox.probe import probe

    for fact in probe():
        if as_json:
            click.echo(json.dumps(dataclasses.asdict(fact)))
        else:
            click.echo(f"{fact.kind:13} {'yes' if fact.available else 'no ':3}  {fact.detail}")
    try:
        images = list_images()
    except SandboxUnavailableError:
        return  # said above
    for image in images:
        if as_json:
            click.echo(json.dumps(dataclasses.asdict(image)))
        else:
            current = "  (in use)" if image.is_default else ""
            size_mib = image.size_bytes / 1024**2
            click.echo(f"image         {image.name}  {size_mib:,.0f} MiB{current}")


@command.command("prune", short_help="Remove what dead runs and older versions left.")
@click.option("--all", "remove_all", is_flag=True, help="The image in use, too.")
def prune_command(remove_all: bool) -> None:
    """Remove what dead runs left behind, and images of older versions."""
    from rnj_agent.agent.wording import counted
    from rnj_agent.sandbox.engine import connect
    from rnj_agent.sandbox.errors import SandboxUnavailableError
    from rnj_agent.sandbox.images.store import prune
    from rnj_agent.sandbox.sweep import sweep

    try:
        connect().close()
    except SandboxUnavailableError as exc:
        # No engine, no images: what bubblewrap left is on this disk all the same.
        click.echo(f"removed {counted(sweep(), 'leftover')} of dead runs ({exc.message})")
        return
    pruned = prune(keep_default=not remove_all)
    click.echo(f"removed {counted(pruned.num_left_behind, 'leftover')} of dead runs")
    for name in pruned.images:
        click.echo(f"removed image {name}")
