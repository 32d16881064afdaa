"""As much of an image registry as an engine needs to pull one small image, on a local port.

https://distribution.github.io/distribution/spec/api/
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REPOSITORY = "tiny/calc"
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_CHUNK_BYTES = 1 << 16


class RegistryServer(ThreadingHTTPServer):
    """Serves one image that no engine has seen before."""

    daemon_threads = True

    def __init__(self, *, num_failures: int = 0, stalls: bool = False) -> None:
        """Refuse the first so many manifests; where it stalls, half a layer is all that comes."""
        super().__init__(("127.0.0.1", 0), _Handler)
        layer = gzip.compress(_tar(os.urandom(1 << 20)), compresslevel=1, mtime=0)
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest(gzip.decompress(layer))]},
        }
        self.blobs = {digest(data): data for data in (layer, json.dumps(config).encode())}
        layer_id, config_id = self.blobs
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG, **self._described(config_id)},
            "layers": [{"mediaType": _LAYER, **self._described(layer_id)}],
        }
        self.manifest = json.dumps(manifest).encode()
        self.num_failures = num_failures
        self.stalls = stalls
        self.gone = threading.Event()
        self.num_layers_sent = 0
        self.layer_id = layer_id

    def _described(self, name: str) -> dict[str, object]:
        return {"digest": name, "size": len(self.blobs[name])}

    @contextmanager
    def running(self) -> Generator[str]:
        """Yield the image's name."""
        thread = threading.Thread(target=self.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{self.server_address[1]}/{REPOSITORY}:latest"
        finally:
            self.gone.set()
            self.shutdown()
            thread.join()
            self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: RegistryServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        server = self.server
        kind, _, reference = self.path.removeprefix(f"/v2/{REPOSITORY}/").partition("/")
        if self.path == "/v2/":
            self._send(b"{}", "application/json")
        elif kind == "manifests" and server.num_failures > 0:
            server.num_failures -= 1
            self.send_error(503)
        elif kind == "manifests" and reference in {"latest", digest(server.manifest)}:
            self._send(server.manifest, _MANIFEST)
        elif kind == "blobs" and reference in server.blobs:
            server.num_layers_sent += reference == server.layer_id
            self._send(server.blobs[reference], "application/octet-stream")
        else:
            self._send(b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}', "application/json", 404)

    def _send(self, data: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Docker-Content-Digest", digest(data))
        self.end_headers()
        if self.command != "GET":
            return
        for start in range(0, len(data), _CHUNK_BYTES):
            if self.server.stalls and start > len(data) // 2:
                self.server.gone.wait()
                return
            self.wfile.write(data[start : start + _CHUNK_BYTES])


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _tar(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        header = tarfile.TarInfo("file")
        header.size = len(data)
        archive.addfile(header, io.BytesIO(data))
    return buffer.getvalue()
