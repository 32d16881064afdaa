"""Options that several commands share, and the configuration that they lead to.

An option here writes its value under a config key into the click context, so a command's function
takes only what is its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rnj_agent.agent.config_layers import LoadedConfig

_F = TypeVar("_F", bound=Callable[..., Any])
_FLAGS = "rnj_agent.flags"


def _setting(*names: str, key: str, **attributes: Any) -> Callable[[_F], _F]:
    def remember(ctx: click.Context, _param: click.Parameter, value: object) -> None:
        if value is not None:
            ctx.meta.setdefault(_FLAGS, {})[key] = value

    return click.option(*names, expose_value=False, callback=remember, **attributes)


_MODEL = (
    _setting(
        "-m", "--model", key="model.name", metavar="NAME", help="Model, as its server names it."
    ),
    _setting(
        "-e",
        "--endpoint",
        key="model.endpoint",
        metavar="NAME|URL",
        help="bundled, vllm, sglang, llama.cpp, lm-studio, ollama, together, huggingface, one of "
        "your config, or a base URL.  [default: bundled]",
    ),
    _setting(
        "--protocol",
        key="model.protocol",
        type=click.Choice(["auto", "tools", "text", "blocks"]),
        help="How the model acts: native tool calls, or one bash block a turn.",
    ),
    _setting(
        "--profile",
        key="harness.profile",
        metavar="NAME",
        help="What is known of a family of models, by name.  [default: by the model's name]",
    ),
    _setting("--temperature", key="model.temperature", type=float, help="Sampling temperature."),
    _setting("--seed", key="model.seed", type=int, help="Sampling seed."),
)
_LIMITS = (
    _setting("--max-steps", key="limits.steps", type=int, help="Model calls at most."),
    _setting("--max-time", key="limits.time_s", type=float, metavar="SECONDS", help="Wall time."),
    _setting("--max-tokens", key="limits.tokens", type=int, help="Tokens of the whole run."),
)
_SANDBOX = (
    _setting(
        "--sandbox",
        key="sandbox.kind",
        type=click.Choice(["auto", "docker", "bubblewrap", "host"]),
        help="Where commands run. host is no sandbox at all: commands run as you.  "
        "[default: auto: Docker, else bubblewrap]",
    ),
    _setting("--image", key="sandbox.image", help="Docker image for the sandbox."),
    _setting(
        "--network/--no-network",
        key="sandbox.network",
        default=None,
        help="Whether commands in the sandbox reach the network.  [default: no]",
    ),
)


def agent_options(function: _F) -> _F:
    """Options of every command that runs the agent."""
    for option in reversed((*_MODEL, *_SANDBOX, *_LIMITS)):
        function = option(function)
    return function


def model_options(function: _F) -> _F:
    for option in reversed(_MODEL):
        function = option(function)
    return function


def limit_options(function: _F) -> _F:
    for option in reversed(_LIMITS):
        function = option(function)
    return function


def sandbox_options(function: _F) -> _F:
    for option in reversed(_SANDBOX):
        function = option(function)
    return function


attempts_option = _setting(
    "--attempts",
    key="fix.attempts",
    type=click.IntRange(1, 16),
    metavar="N",
    help="Attempts at the issue, run together, each in its own sandbox; the best one counts.  "
    "[default: 1]",
)

repo_option = click.option(
    "-C",
    "--repo",
    type=click.Path(path_type=Path),
    default=Path(),
    help="The repository.  [default: this folder]",
)

yes_option = click.option(
    "--yes", is_flag=True, help="With --sandbox host: allow every command without asking."
)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="JSON on stdout, one object a line."
)


def given_flags() -> Mapping[str, object]:
    """What this command line sets, by config key."""
    return click.get_current_context().meta.get(_FLAGS, {})


def load_cli_config(directory: Path) -> LoadedConfig:
    """The configuration with this command line's flags on top; its warnings go to stderr.

    Raises:
        ConfigError: see ``load_config``.
    """
    from rnj_agent.agent.config_layers import load_config

    loaded = load_config(directory=directory, flags=given_flags())
    for warning in loaded.warnings:
        click.echo(f"warning: {warning}", err=True)
    return loaded
