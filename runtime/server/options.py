"""What ``rnj-agent serve`` and ``python -m rnj_agent.runtime.server`` can be asked for."""

from __future__ import annotations

import argparse
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rnj_agent.runtime.errors import RequestError

DEFAULT_PORT = 8000


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    model: str
    """A name of the catalogue, or a path."""
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    """0: any free one."""
    api_key: str | None = None
    """What clients must send. None: no key, or a random one where there is a ready file."""
    context: int | None = None
    """Tokens of the window; None: the model's own, as far as 32768 and the memory go."""
    idle_exit_s: float | None = None
    """Exit after so long without a request."""
    ready_file: Path | None = None
    """Where to tell port and key once the port is bound."""

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def check(self) -> None:
        """Refuse what would be unsafe or cannot be.

        Raises:
            RequestError: in words for the person at the terminal.
        """
        if not self.is_loopback and not self.api_key:
            raise RequestError(
                f"Serving on {self.host} lets other machines use the model, and no key is set.",
                hint="Add --api-key-file FILE (or --api-key KEY), or serve on 127.0.0.1.",
            )
        if self.context is not None and self.context < 2:
            raise RequestError(f"--context {self.context} leaves no room for a prompt and a reply.")
        if not 0 <= self.port <= 65535:
            raise RequestError(f"--port {self.port} is not a port; they end at 65535.")


def parse_args(argv: Sequence[str] | None = None) -> ServeOptions:
    """Exits with code 2 on a wrong command line, as argparse does."""
    parser = argparse.ArgumentParser(
        prog="python -m rnj_agent.runtime.server",
        description="Serve a model behind an OpenAI-compatible HTTP API.",
    )
    parser.add_argument("--model", required=True, help="name of the catalogue, or a path")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0: any free one")
    key = parser.add_mutually_exclusive_group()
    key.add_argument("--api-key", help="other users of this machine can read a command line")
    key.add_argument("--api-key-file", type=Path, help="a file with the key in its first line")
    parser.add_argument("--context", type=int, help="tokens of prompt and reply together")
    parser.add_argument("--idle-exit-s", type=float, help="exit after so long without a request")
    parser.add_argument("--ready-file", type=Path, help="tell port and key there, mode 0600")
    args = parser.parse_args(argv)
    return ServeOptions(
        model=args.model,
        host=args.host,
        port=args.port,
        api_key=args.api_key or _first_line(parser, args.api_key_file),
        context=args.context,
        idle_exit_s=args.idle_exit_s,
        ready_file=args.ready_file,
    )


def _first_line(parser: argparse.ArgumentParser, path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        lines = path.read_text().splitlines()
    except OSError as exc:
        parser.error(f"--api-key-file: {exc}")
    if not lines or not lines[0].strip():
        parser.error(f"--api-key-file: {path} is empty")
    return lines[0].strip()
