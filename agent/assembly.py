"""The parts of a run, made from configuration: model, limits, loop. Shared by every command and UI.

What a run works on, and what becomes of its patch, is its caller's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rnj_agent.agent import events
from rnj_agent.agent.agents_file import AGENTS_MD, AgentsFile, read_agents_file
from rnj_agent.agent.approval import Approve, allow_all
from rnj_agent.agent.config import Config
from rnj_agent.agent.endpoint import ResolvedEndpoint, api_key_for, resolve_endpoint
from rnj_agent.agent.fresh_start import Sampling
from rnj_agent.agent.harness import harness_for, protocol_for, settled_model
from rnj_agent.agent.limits import Limits
from rnj_agent.agent.presets import DEFAULT_BUNDLED_MODEL
from rnj_agent.agent.profiles import profile_for
from rnj_agent.agent.workspace import NoWorkspace, Workspace
from rnj_agent.sandbox.base import Sandbox, SandboxLimits

if TYPE_CHECKING:
    from rnj_agent.agent.event_stream import Recorder
    from rnj_agent.agent.local_model import LocalModel
    from rnj_agent.agent.loop import AgentLoop
    from rnj_agent.agent.model import Model
    from rnj_agent.agent.model_client import OpenAIModel
    from rnj_agent.tools.base import Tool

_GIB: Final = 1024**3

Say = Callable[[events.Notice], None]
"""Shows one line to the person while a run is prepared."""


def bundled_model_name(config: Config) -> str:
    """The model that the bundled runtime is to serve."""
    return config.model.name or DEFAULT_BUNDLED_MODEL


def offered_tools(config: Config, model: str, *, submit: bool) -> tuple[Tool, ...]:
    """Fresh tools for one run, as many as the model's profile offers.

    Args:
        config: what the person set.
        model: its name, as its server knows it.
        submit: whether there is something to submit.

    Raises:
        ConfigError: there is no profile of the name that the configuration gives.
    """
    from rnj_agent.tools.bash import BashTool
    from rnj_agent.tools.mini_bash import MiniBashTool
    from rnj_agent.tools.toolset import toolset
    from rnj_agent.tools.write import WriteTool

    harness = harness_for(config, model)
    if submit and harness.form == "mini-swe-agent":
        return (MiniBashTool(),)
    if protocol_for(config, model) == "blocks":
        return (BashTool(), WriteTool(tolerant=harness.tolerant_edits))
    offered = profile_for(model, name=config.harness.profile).tools
    tools = toolset(submit=submit, tolerant_edits=harness.tolerant_edits)
    return tuple(tool for tool in tools if tool.name in offered)


def agents_file_from(
    config: Config, root: Path, copied: Iterable[str], *, context_window: int
) -> AgentsFile | None:
    """What the repository tells agents, where the file is copied and the person wants it told.

    Args:
        config: says whether.
        root: of the repository.
        copied: paths of all files that the sandbox has.
        context_window: tokens of the model.
    """
    if not config.prompt.agents_md or AGENTS_MD not in copied:
        return None
    return read_agents_file(root, context_window=context_window)


def tell_of(agents: AgentsFile | None, say: Say) -> None:
    """Say how much of the file is told; nothing where there is none."""
    if agents is not None:
        level = "warning" if agents.num_left_out else "info"
        say(events.Notice(level=level, text=str(agents)))


def limits_from(config: Config, model: Model) -> Limits:
    profile = profile_for(model.info.name, name=config.harness.profile)
    limits = Limits(
        max_steps=config.limits.steps,
        max_wall_s=config.limits.time_s,
        max_tokens=config.limits.tokens,
        max_reply_tokens=config.model.max_tokens or profile.max_reply_tokens,
        max_format_errors=config.limits.format_errors,
        command_timeout_s=config.limits.command_timeout_s,
    )
    is_reviewed = harness_for(config, model.info.name).review
    return limits if is_reviewed else dataclasses.replace(limits, max_rejections=0)


@asynccontextmanager
async def open_model(
    config: Config, *, say: Say, max_restarts: int | None = None
) -> AsyncGenerator[Model]:
    """Connect to the configured model, starting the bundled runtime where that is meant.

    Args:
        config: says which.
        say: shows what is done.
        max_restarts: of the bundled runtime's server; None: as ``LocalModel`` has it.

    Raises:
        ConfigError: the endpoint is not known.
        ModelError: no such model, nothing answers, or the key is refused.
    """
    endpoint = resolve_endpoint(config)
    if endpoint.is_bundled:
        model = await _open_bundled(endpoint, config, say, max_restarts)
    else:
        model = await _open_elsewhere(endpoint, config, say)
    try:
        yield model
    finally:
        await model.aclose()


async def _open_elsewhere(endpoint: ResolvedEndpoint, config: Config, say: Say) -> OpenAIModel:
    from rnj_agent.agent.model_connection import connect

    connected = await connect(
        endpoint, config.model, api_key=api_key_for(endpoint), profile=config.harness.profile
    )
    _warn(connected.warnings, say)
    return connected.model


async def _open_bundled(
    endpoint: ResolvedEndpoint, config: Config, say: Say, max_restarts: int | None
) -> LocalModel:
    """The model in a server of this machine, which is started where none runs, and again."""
    from rnj_agent.agent.local_model import LocalConnection, LocalModel
    from rnj_agent.agent.local_server import ensure_server
    from rnj_agent.agent.model_connection import connect

    async def attach() -> LocalConnection:
        server = await ensure_server(
            bundled_model_name(config),
            context=config.model.context_window,
            progress=lambda line: say(events.Notice(level="info", text=line)),
        )
        connected = await connect(
            dataclasses.replace(endpoint, base_url=server.base_url),
            config.model.model_copy(update={"name": server.model}),
            api_key=server.api_key,
            profile=config.harness.profile,
            is_gone=server.is_gone,
        )
        _warn(connected.warnings, say)
        return LocalConnection(server=server, model=connected.model)

    return LocalModel(await attach(), attach=attach, max_restarts=max_restarts)


def _warn(warnings: Sequence[str], say: Say) -> None:
    for warning in warnings:
        say(events.Notice(level="warning", text=warning))


async def open_sandbox(
    config: Config, *, session_id: str, say: Say, extra_read_only: Sequence[Path] = ()
) -> Sandbox:
    """The configured sandbox; the caller enters it.

    Raises:
        SandboxUnavailableError: this machine has none; never the host instead.
    """
    from rnj_agent.sandbox import choose
    from rnj_agent.sandbox.images.build import DEFAULT_IMAGE

    settings = config.sandbox
    request = choose.SandboxRequest(
        kind=settings.kind,
        image=settings.image or DEFAULT_IMAGE,
        network=settings.network,
        limits=SandboxLimits(
            memory_bytes=int(settings.memory_gib * _GIB),
            num_pids=settings.num_pids,
            num_cpus=settings.num_cpus,
            disk_bytes=int(settings.disk_gib * _GIB),
        ),
        session_id=session_id,
        extra_read_only=tuple(extra_read_only),
    )
    return await choose.open_sandbox(
        request, progress=lambda line: say(events.Notice(level="info", text=line))
    )


def make_loop(
    config: Config,
    *,
    model: Model,
    sandbox: Sandbox,
    workspace: Workspace | None = None,
    recorder: Recorder | None = None,
    approve: Approve = allow_all,
) -> AgentLoop:
    """The loop with its tools; ``sandbox`` is entered, and left, by the caller."""
    from rnj_agent.agent.loop import AgentLoop

    workspace = workspace or NoWorkspace()
    return AgentLoop(
        model=model,
        tools=offered_tools(config, model.info.name, submit=workspace.needs_patch),
        sandbox=sandbox,
        workspace=workspace,
        protocol=protocol_for(config, model.info.name),
        limits=limits_from(config, model),
        harness=harness_for(config, model.info.name),
        sampling=sampling_from(config, model),
        approve=approve,
        recorder=recorder,
    )


def sampling_from(config: Config, model: Model) -> Sampling:
    """What retries differ from. Raises: ConfigError: there is no profile of the name given."""
    settled = settled_model(config.model, model.info.name, profile=config.harness.profile)
    return Sampling(temperature=settled.temperature, seed=settled.seed)
