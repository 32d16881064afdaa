"""A package index in a folder: small wheels that carry parts of a small model."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path

from rnj_agent.runtime.catalogue import CatalogueEntry, HubSource, WheelPart

PARTS = (b"GGUF" + bytes(200_000), b"second" * 50_000, b"the end")
MODEL = b"".join(PARTS)
NAME = "tiny"
FILE = "tiny.gguf"
ENTRY = CatalogueEntry(
    name=NAME,
    description="Three parts of nothing",
    license="CC0",
    architecture="none",
    context_window=None,
    file=FILE,
    size_bytes=len(MODEL),
    sha256=hashlib.sha256(MODEL).hexdigest(),
    wheels=tuple(
        WheelPart(package=f"tiny-model-part{n}", version="1.0", member=f"tiny_{n}/data.bin")
        for n in (1, 2, 3)
    ),
)
CATALOGUE = {NAME: ENTRY}
WITH_HUB = {NAME: replace(ENTRY, hub=HubSource(repo_id="someone/tiny-GGUF", patterns=(FILE,)))}
FOLDER_ENTRY = replace(
    ENTRY,
    file=None,
    sha256=None,
    wheels=(),
    hub=HubSource(repo_id="someone/tiny", patterns=("*.safetensors", "*.json")),
)
FOLDER = {NAME: FOLDER_ENTRY}
CATALOGUES = {"wheels": CATALOGUE, "wheels-and-hub": WITH_HUB, "folder": FOLDER}


def write_wheels(folder: Path, parts: tuple[bytes, ...] = PARTS) -> None:
    for number, (part, data) in enumerate(zip(ENTRY.wheels, parts, strict=True), 1):
        write_wheel(folder, part.package, {part.member: data, f"tiny_{number}/__init__.py": b"1/0"})


def write_wheel(folder: Path, package: str, members: dict[str, bytes]) -> Path:
    """A wheel that pip accepts; its package raises when it is imported."""
    name = package.replace("-", "_")
    info = f"{name}-1.0.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
    wheel = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", wheel)
        archive.writestr(f"{info}/RECORD", "")
    return path


def pip_settings(folder: Path) -> dict[str, str]:
    """Environment in which pip knows that folder, and nothing else."""
    return {"PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}


def hub_repository(files: dict[str, bytes], *, commit: str) -> dict[str, object]:
    """What the hub's API says of a repository; large files carry their sha256."""
    siblings: list[dict[str, object]] = []
    for name, data in files.items():
        item: dict[str, object] = {"rfilename": name, "size": len(data)}
        if not name.endswith(".json"):
            digest = hashlib.sha256(data).hexdigest()
            item["lfs"] = {"sha256": digest, "size": len(data), "pointerSize": 130}
        siblings.append(item)
    return {"id": "x", "modelId": "x", "sha": commit, "siblings": siblings, "tags": []}


def dumps(value: object) -> bytes:
    return json.dumps(value).encode()
