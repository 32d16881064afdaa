"""deploy/Dockerfile and deploy/compose.yaml as data, and the image that deploy/check.sh built."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
COMPOSE_FILE = ROOT / "deploy" / "compose.yaml"


def instructions() -> list[tuple[str, str]]:
    """Name and arguments of each instruction, continued lines joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split()[0], line.split(None, 1)[1]) for line in text.splitlines() if line.strip()]


def final_stage() -> dict[str, str]:
    """The last instruction of each name after the last FROM."""
    lines = instructions()
    start = max(index for index, (name, _) in enumerate(lines) if name == "FROM")
    return dict(lines[start:])


def health_probe() -> list[str]:
    """The command that the engine runs to see whether the server is well."""
    return json.loads(final_stage()["HEALTHCHECK"].partition(" CMD ")[2])


def start_command() -> list[str]:
    stage = final_stage()
    return json.loads(stage["ENTRYPOINT"]) + json.loads(stage["CMD"])


def compose_services() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE_FILE.read_text())["services"]


def compose_argv() -> list[str]:
    """The Compose that this machine has, or a skip."""
    if shutil.which("docker"):
        plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        if plugin.returncode == 0:
            return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    pytest.skip("Compose is not installed: apt-get install docker-compose")


def built_image() -> str:
    image = os.environ.get("RNJ_SERVE_IMAGE", "")
    if not image:
        pytest.skip("needs the image, whose build takes minutes: deploy/check.sh builds and runs")
    return image
