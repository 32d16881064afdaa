"""The profile that ``fix`` and ``run`` would use."""

from __future__ import annotations

from rnj_agent.agent.cli.doctor.check import Check
from rnj_agent.agent.config import Config
from rnj_agent.agent.endpoint import resolve_endpoint
from rnj_agent.agent.errors import RnjError
from rnj_agent.agent.harness import protocol_for, settled_model
from rnj_agent.agent.presets import DEFAULT_BUNDLED_MODEL
from rnj_agent.agent.profiles import profile_for
from rnj_agent.agent.profiles.profile import is_small


def check_profile(config: Config) -> Check:
    """By the model's name, where it is known without asking the server."""
    name = config.harness.profile
    try:
        is_bundled = resolve_endpoint(config).is_bundled
        model = config.model.name or (DEFAULT_BUNDLED_MODEL if is_bundled else "")
        if not (name or model):
            return Check(name="profile", status="ok", detail="by the name of the model it has")
        profile = profile_for(model, name=name)
        settings = settled_model(config.model, model, profile=name)
        protocol = protocol_for(config, model)
    except RnjError as exc:
        return Check(name="profile", status="missing", detail=exc.message, hint=exc.hint)
    small = ", for a small model" if is_small(model) else ""
    detail = f"{profile.name}{small}: {protocol} protocol, temperature {settings.temperature:g}"
    return Check(name="profile", status="ok", detail=detail)
