"""What ``rnj-agent serve`` and ``python -m rnj_agent.runtime.server`` can be asked for."""

from __future__ import annotations

import argparse
import ipaddress
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from rnj_agent.runtime.errors import RequestError

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
DEFAULT_MAX_QUEUE = 64

KVDtype: TypeAlias = Literal["auto", "bf16", "fp8", "int8"]
KV_DTYPES: tuple[KVDtype, ...] = ("auto", "bf16", "fp8", "int8")
Device: TypeAlias = Literal["auto", "cpu", "cuda"]
DEVICES: tuple[Device, ...] = ("auto", "cpu", "cuda")
Quant: TypeAlias = Literal["none", "stored", "int8", "int4", "fp8"]
QUANTS: tuple[Quant, ...] = ("none", "stored", "int8", "int4", "fp8")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    model: str
    """A name of the catalogue, or a path."""
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    """0: any free one."""
    uds: Path | None = None
    """Listen on this Unix socket instead of a port; only its owner can open it."""
    api_key: str | None = None
    """What clients must send. None: no key, or a random one where there is a ready file."""
    context: int | None = None
    """Tokens of the window; None: the model's own, as far as 32768 and the memory go."""
    kv_memory_gib: float | None = None
    """Memory of the KV cache; None: chosen from what the machine has."""
    kv_dtype: KVDtype = "auto"
    """How keys and values are kept; auto: as the model computes them."""
    device: Device = "auto"
    """Where the model runs; auto: on a GPU that torch can use, if there is one."""
    quant: Quant | None = None
    """How weights are held; None: as they are stored, where there are kernels for that."""
    max_num_seqs: int | None = None
    """Replies that are computed at a time; None: 8, on a GPU 32."""
    max_queue: int = DEFAULT_MAX_QUEUE
    """Replies that may wait."""
    speculation: bool = True
    """Whether tokens are guessed from the prompt and verified together."""
    guided: bool = True
    """Whether calls and JSON are held to their schemas."""
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
        if self.uds is not None and self.ready_file is not None:
            raise RequestError("--ready-file tells a port, and --uds has none.")
        if self.uds is None and not self.is_loopback and not self.api_key:
            raise RequestError(
                f"Serving on {self.host} lets other machines use the model, and no key is set.",
                hint="Add --api-key-file FILE (or --api-key KEY), or serve on 127.0.0.1.",
            )
        if self.context is not None and self.context < 2:
            raise RequestError(f"--context {self.context} leaves no room for a prompt and a reply.")
        if not 0 <= self.port <= 65535:
            raise RequestError(f"--port {self.port} is not a port; they end at 65535.")
        if self.max_num_seqs is not None and self.max_num_seqs < 1:
            raise RequestError(f"--max-num-seqs {self.max_num_seqs}: at least 1 must run.")
        if self.max_queue < 0:
            raise RequestError(f"--max-queue {self.max_queue}: fewer than none cannot wait.")
        if self.kv_memory_gib is not None and not 0 < self.kv_memory_gib < math.inf:
            raise RequestError(f"--kv-memory-gib {self.kv_memory_gib:g} is no amount of memory.")


def parse_args(argv: Sequence[str] | None = None) -> ServeOptions:
    """Exits with code 2 on a wrong command line, as argparse does."""
    parser = argparse.ArgumentParser(
        prog="python -m rnj_agent.runtime.server",
        description="Serve a model behind an OpenAI-compatible HTTP API.",
    )
    parser.add_argument("--model", required=True, help="name of the catalogue, or a path")
    parser.add_argument("--host", default=DEFAULT_HOST)
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0: any free one")
    parser.add_argument("--uds", type=Path, help="a Unix socket instead, for its owner only")
    key = parser.add_mutually_exclusive_group()
    key.add_argument("--api-key", help="other users of this machine can read a command line")
    key.add_argument("--api-key-file", type=Path, help="a file with the key in its first line")
    _add_engine_arguments(parser)
    parser.add_argument("--idle-exit-s", type=float, help="exit after so long without a request")
    parser.add_argument("--ready-file", type=Path, help="tell port and key there, mode 0600")
    fields = vars(parser.parse_args(argv))
    key_file: Path | None = fields.pop("api_key_file")
    fields["api_key"] = fields["api_key"] or _first_line(parser, key_file)
    return ServeOptions(**fields)


def _add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--context", type=int, help="tokens of prompt and reply together")
    parser.add_argument("--kv-memory-gib", type=float, help="memory of the KV cache")
    parser.add_argument("--kv-dtype", choices=KV_DTYPES, default="auto")
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--quant", choices=QUANTS, help="how weights are held")
    parser.add_argument("--max-num-seqs", type=int, help="replies computed at a time")
    parser.add_argument("--max-queue", type=int, default=DEFAULT_MAX_QUEUE)
    parser.add_argument("--no-speculation", action="store_false", dest="speculation")
    parser.add_argument("--no-guided", action="store_false", dest="guided")


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
