"""Where values come from: flag > RNJ_* > ./.rnj/config.toml > user config > default.

A repository's own file may only set ``REPOSITORY_KEYS``, and limits only downward.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rnj_agent.agent.config import Config, LimitSettings
from rnj_agent.agent.config_files import (
    Setting,
    find_repository_file,
    read_settings,
    user_config_file,
)
from rnj_agent.agent.config_keys import (
    ENDPOINTS,
    OTHER_VARIABLES,
    REPOSITORY_KEYS,
    Key,
    dotted,
    is_known,
    nearest,
    nearest_key,
    variables,
)
from rnj_agent.agent.errors import ConfigError

_Merged = dict[Key, Setting]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedConfig:
    config: Config
    files: tuple[Path, ...]
    """The config files in force, weakest first."""
    origins: Mapping[str, str]
    """Dotted key -> where its value was set; keys at their default are absent."""
    warnings: tuple[str, ...]
    """One line each, for the person."""


def load_config(
    *,
    directory: Path,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> LoadedConfig:
    """Put the layers together.

    Args:
        directory: where to look for a repository's own file, upward to the repository's root.
        flags: dotted key -> value from the command line; None is *not given*.
        environ: default: this process's environment.

    Raises:
        ConfigError: an unknown key, a wrong value, or a key that a repository may not set.
    """
    environ = os.environ if environ is None else environ
    user_file = Path(environ["RNJ_CONFIG"]) if environ.get("RNJ_CONFIG") else user_config_file()
    repository_file = find_repository_file(directory.resolve())
    merged: _Merged = {}
    warnings: list[str] = []
    files: list[Path] = []
    if environ.get("RNJ_CONFIG") or user_file.is_file():
        files.append(user_file)
        _overlay(merged, read_settings(user_file))
    if repository_file is not None and repository_file != user_file:
        files.append(repository_file)
        warnings += _overlay_repository(merged, read_settings(repository_file), user_file)
    _overlay(merged, _from_environ(environ))
    _overlay(merged, _from_flags(flags or {}))
    return LoadedConfig(
        config=_validate(merged),
        files=tuple(files),
        origins={dotted(key): setting.origin for key, setting in merged.items()},
        warnings=tuple(warnings),
    )


def _overlay(merged: _Merged, settings: Iterable[Setting]) -> None:
    for setting in settings:
        _require_known(setting)
        merged[setting.key] = setting


def _require_known(setting: Setting) -> None:
    if is_known(setting.key):
        return
    name = dotted(setting.key)
    if setting.key[-1:] == ("api_key",):
        raise ConfigError(
            f"{setting.origin}: keys are not kept in files, so there is no '{name}'.",
            hint="put the key into an environment variable and name that variable in "
            f"{dotted((ENDPOINTS, 'NAME', 'api_key_env'))}",
        )
    meant = nearest_key(setting.key)
    raise ConfigError(
        f"{setting.origin}: unknown key '{name}'.", hint=f"did you mean '{meant}'?" if meant else ""
    )


def _overlay_repository(merged: _Merged, settings: Iterable[Setting], user_file: Path) -> list[str]:
    """Overlay what a repository may say; the lines tell the person what was not followed."""
    warnings: list[str] = []
    trusted = _validate(merged).limits
    for setting in settings:
        _require_known(setting)
        if setting.key not in REPOSITORY_KEYS:
            raise ConfigError(
                f"{setting.origin}: a repository may not set '{dotted(setting.key)}'.",
                hint=f"if you want it, put it into {user_file} or give it as a flag",
            )
        # Compared after validation, so that a limit written as "9999" is no way around.
        proposed = _validate({**merged, setting.key: setting}).limits
        if setting.key[0] == "limits" and _raises(proposed, trusted, setting.key[1]):
            warnings.append(
                f"{setting.origin}: a repository may only lower '{dotted(setting.key)}'; "
                f"it stays at {getattr(trusted, setting.key[1]):g}."
            )
        else:
            merged[setting.key] = setting
    return warnings


def _raises(proposed: LimitSettings, trusted: LimitSettings, name: str) -> bool:
    bound: float | None = getattr(trusted, name)
    value: float | None = getattr(proposed, name)
    return bound is not None and (value is None or value > bound)


def _from_environ(environ: Mapping[str, str]) -> list[Setting]:
    known = variables()
    settings: list[Setting] = []
    # Sorted backwards, so that the short RNJ_MODEL comes after (and wins over) RNJ_MODEL_NAME.
    for name in sorted(environ, reverse=True):
        if not name.startswith("RNJ_") or name in OTHER_VARIABLES or not environ[name]:
            continue
        if name not in known:
            meant = nearest(name, (*known, *OTHER_VARIABLES))
            raise ConfigError(
                f"unknown environment variable {name}.",
                hint=f"did you mean {meant}?" if meant else f"unset {name}",
            )
        settings.append(Setting(key=known[name], value=environ[name], origin=name))
    return settings


def _from_flags(flags: Mapping[str, object]) -> list[Setting]:
    return [
        Setting(key=tuple(name.split(".")), value=value, origin="command line")
        for name, value in flags.items()
        if value is not None
    ]


def _validate(merged: _Merged) -> Config:
    tree: dict[str, Any] = {}
    for key, setting in merged.items():
        section = tree
        for part in key[:-1]:
            section = section.setdefault(part, {})
        section[key[-1]] = setting.value
    if ENDPOINTS in tree:
        tree[ENDPOINTS] = _with_presets(tree[ENDPOINTS])
    try:
        return Config.model_validate(tree)
    except ValidationError as exc:
        raise _explain(exc, merged) from exc


def _with_presets(endpoints: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, object]]:
    presets = {name: item.model_dump() for name, item in Config().endpoints.items()}
    changed = {name: {**presets.get(name, {}), **item} for name, item in endpoints.items()}
    return presets | changed


def _explain(error: ValidationError, merged: _Merged) -> ConfigError:
    first = error.errors(include_url=False, include_context=False)[0]
    key = tuple(str(part) for part in first["loc"])
    setting = next((merged[known] for known in merged if known == key[: len(known)]), None)
    if setting is None:
        return ConfigError(f"'{dotted(key)}' is wrong: {first['msg']}.")
    return ConfigError(
        f"{setting.origin}: '{dotted(setting.key)}' cannot be {setting.value!r}: {first['msg']}.",
        hint=_repair(setting),
    )


def _repair(setting: Setting) -> str:
    """What to do about a wrong value, which depends on where it was given."""
    if setting.origin == "command line":
        return "give another value, or leave it out: --help shows the flags"
    return f"unset {setting.origin}" if setting.origin.startswith("RNJ_") else "edit that file"
