"""This machine's pip settings, as far as they can hold in a build: where packages come from.

Passed on: index, further indexes, trusted hosts, proxy, certificates, time-outs. Left out: folders
of this machine, which a build does not see, and everything that is not about where from.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CERTIFICATES: Final = "ca.pem"
"""The certificates' file, beside the configuration."""
_PLACES: Final = ("index-url", "extra-index-url", "find-links")
_OTHERS: Final = ("trusted-host", "proxy", "timeout", "default-timeout", "retries")
_LINE: Final = re.compile(r"(?P<section>.*)\.(?P<key>[a-z-]+)=(?P<value>['\"].*)")
_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PipSettings:
    config: str
    """A pip.conf."""
    certificates: bytes
    """Empty: pip's own."""


def host_pip_settings(folder: str) -> PipSettings:
    """Ask this machine's pip.

    Args:
        folder: where the files will lie in the build.
    """
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    values = parse_config_list(listed.stdout)
    lines = [f"{key} = {value}" for key, value in _portable(values).items()]
    certificates = _certificates(values)
    if certificates:
        lines.append(f"cert = {folder}/{CERTIFICATES}")
    return PipSettings(config="\n".join(("[global]", *lines, "")), certificates=certificates)


def parse_config_list(text: str) -> dict[str, str]:
    """Key to value of ``pip config list``; the environment goes before files, as in pip."""
    found: dict[str, str] = {}
    for line in sorted(text.splitlines(), key=lambda line: line.startswith(":env:")):
        matched = _LINE.fullmatch(line)
        if matched and matched["section"] in {"global", "install", ":env:"}:
            found[matched["key"]] = str(ast.literal_eval(matched["value"]))
    return found


def _portable(values: Mapping[str, str]) -> dict[str, str]:
    kept = {key: values[key] for key in _OTHERS if key in values}
    for key in _PLACES:
        remote = [place for place in values.get(key, "").split() if "://" in place]
        remote = [place for place in remote if not place.startswith("file:")]
        if remote:
            kept[key] = " ".join(remote)
    return kept


def _certificates(values: Mapping[str, str]) -> bytes:
    path = values.get("cert") or os.environ.get("REQUESTS_CA_BUNDLE", "")
    return Path(path).read_bytes() if path and Path(path).is_file() else b""
