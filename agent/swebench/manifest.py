"""What a run is: all that its results depend on, written once and held to by every later start."""

from __future__ import annotations

import hashlib
import json
import platform
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final, cast

from pydantic import BaseModel, ConfigDict, Field

import rnj_agent
from rnj_agent.agent.assembly import offered_tools
from rnj_agent.agent.config import Config, LimitSettings, SandboxSettings
from rnj_agent.agent.endpoint import resolve_endpoint
from rnj_agent.agent.errors import SessionError, UsageError
from rnj_agent.agent.events import Protocol
from rnj_agent.agent.harness import harness_for, protocol_for
from rnj_agent.agent.instructions import system_prompt
from rnj_agent.agent.model import Model
from rnj_agent.agent.presets import BUNDLED
from rnj_agent.agent.profiles import profile_for
from rnj_agent.agent.swebench.attempt_spec import ImageSettings
from rnj_agent.agent.swebench.run_dir import RunDir, read_record, write_record
from rnj_agent.agent.swebench.run_request import RunRequest
from rnj_agent.prompts import IssueFacts, render_fix_task
from rnj_agent.tools.base import function_schema

_NOT_COMPARED: Final = frozenset({"run_id", "created_at", "versions"})
_SAMPLING: Final = {"temperature", "top_p", "seed", "max_tokens"}
_MAX_SHOWN: Final = 5


class Manifest(BaseModel):
    """See ``RunDir``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    run_id: str
    """Names the run's containers."""
    created_at: str
    """ISO 8601, UTC."""
    versions: Mapping[str, str]
    """Of the programs that began it."""
    rnj_agent: str
    """Our version."""
    source: str
    """The data set, as it was asked for."""
    source_sha256: str
    instance_ids: tuple[str, ...]
    """All that are to be done, in order."""
    num_attempts: int
    model_name: str
    """As its server knows it."""
    endpoint: str
    """Without credentials; of the bundled runtime only its name."""
    context_window: int
    protocol: Protocol
    sampling: Mapping[str, float | int | None]
    profile: str = ""
    """The model's, by name."""
    harness: Mapping[str, bool | int | float | str | None] = Field(default_factory=dict)
    """What helped the model; see ``agent.harness.Harness``."""
    limits: LimitSettings
    sandbox: SandboxSettings
    images: ImageSettings
    files_sha256: Mapping[str, str]
    """Of the files that say how images are built."""
    prompts_sha256: str
    """Of every word that the model reads before the issue."""
    test_command: str = ""


def make_manifest(request: RunRequest, model: Model) -> Manifest:
    """What this start asks for, of the model that answers."""
    config, info = request.config, model.info
    protocol = protocol_for(config, info.name)
    return Manifest(
        run_id=secrets.token_hex(6),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={"python": platform.python_version(), "system": platform.platform()},
        rnj_agent=rnj_agent.__version__,
        source=request.source,
        source_sha256=request.source_sha256,
        instance_ids=tuple(instance.instance_id for instance in request.instances),
        num_attempts=request.num_attempts,
        model_name=info.name,
        endpoint=BUNDLED if resolve_endpoint(config).is_bundled else info.endpoint,
        context_window=info.context_window,
        protocol=protocol,
        sampling=config.model.model_dump(include=_SAMPLING),
        profile=profile_for(info.name, name=config.harness.profile).name,
        harness=asdict(harness_for(config, info.name)),
        limits=config.limits,
        sandbox=config.sandbox,
        images=request.images,
        files_sha256=_files_sha256(request.images),
        prompts_sha256=_prompts_sha256(config, info.name),
        test_command=request.test_command,
    )


def hold_to(run: RunDir, wanted: Manifest, *, allow_changed: bool) -> Manifest:
    """The run's manifest: the one that is there, or ``wanted``, written.

    Args:
        run: where.
        wanted: what this start asks for.
        allow_changed: replace one that differs; the old one is kept beside it.

    Raises:
        UsageError: the run was begun with something else.
        SessionError: there is a manifest that cannot be read.
    """
    known = read_record(run.manifest, Manifest)
    if known is None:
        if run.manifest.exists():
            raise SessionError(
                f"{run.manifest} is no manifest of this version.", hint="choose another -o DIR"
            )
        write_record(run.manifest, wanted)
        return wanted
    changed = differences(known, wanted)
    if not changed:
        return known
    if not allow_changed:
        lines = "\n".join(f"  {line}" for line in changed)
        raise UsageError(
            f"The run in {run.root} was begun with something else (there -> now):\n{lines}",
            hint="another -o DIR, or --allow-changed to go on with what is asked for now",
        )
    write_record(run.root / f"manifest.{int(time.time())}.json", known)
    replaced = wanted.model_copy(update={"run_id": known.run_id, "created_at": known.created_at})
    write_record(run.manifest, replaced)
    return replaced


def differences(known: Manifest, wanted: Manifest) -> list[str]:
    """One line a difference that results could depend on."""
    before, now = _flat(known), _flat(wanted)
    lines = [
        f"{name}: {before.get(name)!r} -> {now.get(name)!r}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    if known.instance_ids != wanted.instance_ids:
        lines.append(_instance_difference(known.instance_ids, wanted.instance_ids))
    return lines


def _instance_difference(known: tuple[str, ...], wanted: tuple[str, ...]) -> str:
    added, removed = set(wanted) - set(known), set(known) - set(wanted)
    if not added and not removed:
        return "instances: in another order"
    facts = [
        f"{len(ids)} {what} ({_listed(ids)})"
        for what, ids in (("more", added), ("fewer", removed))
        if ids
    ]
    return f"instances: {', '.join(facts)}"


def _listed(ids: set[str]) -> str:
    return ", ".join(sorted(ids)[:_MAX_SHOWN]) + (", …" if len(ids) > _MAX_SHOWN else "")


def _flat(manifest: Manifest) -> dict[str, Any]:
    dumped = manifest.model_dump(mode="json", exclude={*_NOT_COMPARED, "instance_ids"})
    return dict(_flattened("", dumped))


def _flattened(prefix: str, value: Mapping[str, Any]) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, item in value.items():
        if isinstance(item, dict):
            pairs += _flattened(f"{prefix}{name}.", cast("dict[str, Any]", item))
        else:
            pairs.append((f"{prefix}{name}", item))
    return pairs


def _files_sha256(images: ImageSettings) -> dict[str, str]:
    if not images.build:
        return {}
    paths = {"build_from": images.build_from, "build_overrides": images.build_overrides}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in paths.items() if path
    }


def _prompts_sha256(config: Config, model: str) -> str:
    facts = IssueFacts(issue="", workdir="", file_list=(), num_files=0)
    tools = offered_tools(config, model, submit=True)
    words = [
        system_prompt(config, model, needs_patch=True),
        render_fix_task(facts, form=harness_for(config, model).form),
        *(json.dumps(function_schema(tool), sort_keys=True) for tool in tools),
    ]
    return hashlib.sha256("\0".join(words).encode()).hexdigest()
