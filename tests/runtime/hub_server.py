"""As much of the model hub as its own client needs, on a local port."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlparse

from tests.runtime.wheel_index import dumps, hub_repository

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class HubServer(ThreadingHTTPServer):
    """Serves one repository, whatever its name."""

    def __init__(
        self, files: Mapping[str, bytes], *, stated: Mapping[str, bytes] | None = None
    ) -> None:
        """Serve ``files``, while the API says that they are ``stated``."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = files
        self.stated = stated or files

    @contextmanager
    def running(self) -> Generator[str, None, None]:
        """Yield the base URL."""
        thread = threading.Thread(target=self.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{self.server_address[1]}"
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: HubServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        path = urlparse(self.path).path
        data = self.server.files.get(path.rsplit("/", 1)[1])
        if path.startswith(("/api/models/", "/api/datasets/")):
            self._send(self._api(path), {"Content-Type": "application/json"})
        elif "/resolve/" in path and data is not None:
            etag = hashlib.sha256(data).hexdigest()
            self._send(data, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})
        else:
            self.send_error(404)

    def _api(self, path: str) -> bytes:
        if "/tree/" not in path:
            return dumps(hub_repository(dict(self.server.stated), commit=COMMIT))
        return dumps(
            [
                {"type": "file", "path": name, "size": len(data), "oid": "0"}
                for name, data in self.server.stated.items()
            ]
        )

    def _send(self, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for key, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)
