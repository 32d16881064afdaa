"""Get the model that a command needs: found on this machine, or fetched after saying so."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnj_agent.agent.config import Config


def provide_model(config: Config) -> None:
    """Make sure that the bundled runtime has what it is to serve; other endpoints have their own.

    The sandbox is looked for first where something large would be fetched: without one the model
    would be of no use.

    Raises:
        RnjRuntimeError: no such model, or it cannot be fetched.
        SandboxUnavailableError: this machine has no sandbox.
    """
    from rnj_agent.agent.assembly import bundled_model_name, open_sandbox
    from rnj_agent.agent.cli.interrupts import run_async
    from rnj_agent.agent.cli.terminal import say
    from rnj_agent.agent.endpoint import resolve_endpoint

    if not resolve_endpoint(config).is_bundled:
        return
    from rnj_agent.runtime.errors import ModelNotFoundError
    from rnj_agent.runtime.hub import resolve

    name = bundled_model_name(config)
    try:
        resolve(name)
    except ModelNotFoundError:
        run_async(open_sandbox(config, session_id="", say=say))
        ensure_model(name)
