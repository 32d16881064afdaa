"""The system prompt of a run, in the manner of its model's profile."""

from __future__ import annotations

from rnj_agent.agent.config import Config
from rnj_agent.agent.events import Protocol
from rnj_agent.agent.harness import harness_for, protocol_for
from rnj_agent.agent.profiles import profile_for
from rnj_agent.prompts import Manner, render_system


def system_prompt(
    config: Config,
    model: str,
    *,
    needs_patch: bool,
    agents_md: str = "",
    protocol: Protocol | None = None,
) -> str:
    """What the model is told of itself and its work, for all of a session.

    Args:
        config: what the person set.
        model: its name, as its server knows it.
        needs_patch: whether the run is after a patch.
        agents_md: what the repository tells agents; empty where it says nothing.
        protocol: None: as configured.

    Raises:
        ConfigError: there is no profile of the name that the configuration gives.
    """
    profile = profile_for(model, name=config.harness.profile)
    manner = Manner(
        identity=profile.identity,
        protocol=protocol or protocol_for(config, model),
        lines=profile.lines,
        brief=profile.brief,
        tools=profile.tools,
        form=harness_for(config, model).form,
    )
    return render_system(manner, needs_patch=needs_patch, agents_md=agents_md)
