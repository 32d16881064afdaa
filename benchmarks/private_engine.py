"""A Docker engine of one's own, which may be restarted while others use the machine's."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_PATIENCE_S: Final = 60.0
_POLL_S: Final = 0.2


class PrivateEngine:
    """Its files lie in a new folder, which goes with it. Needs root.

    It has a network namespace of its own, without any network: at its start an engine without a
    bridge removes the one that is there, which may be another engine's.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="rnj-agent-engine-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What DOCKER_HOST is to be."""
        return f"unix://{self._folder}/docker.sock"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Raises: SystemExit: it does not start; with its last words."""
        log = self._folder / "log"
        places = [f"--{name}={self._folder / name}" for name in ("data-root", "exec-root")]
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [
                    *(
                        "unshare",
                        "--net",
                        "dockerd",
                        "--host",
                        self.url,
                        *places,
                        f"--pidfile={self._folder}/pid",
                    ),
                    *("--bridge=none", "--iptables=false", "--ip6tables=false"),
                ],
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        deadline = time.monotonic() + _PATIENCE_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"dockerd does not start:\n{log.read_text()[-2000:]}")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """As a service manager does: with time to end its containers."""
        process = self._process
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._process = None

    def copy_image(self, name: str) -> None:
        """From the machine's own engine."""
        with subprocess.Popen(["docker", "save", name], stdout=subprocess.PIPE) as saving:
            subprocess.run(
                ["docker", "--host", self.url, "load", "-q"],
                stdin=saving.stdout,
                check=True,
                stdout=subprocess.DEVNULL,
            )

    def containers(self) -> list[str]:
        """One line each, also of those that do not run."""
        argv = ["docker", "--host", self.url, "ps", "-a", "--format", "{{.Names}} {{.Status}}"]
        return subprocess.run(argv, check=True, capture_output=True).stdout.decode().splitlines()

    def _answers(self) -> bool:
        argv = ["docker", "--host", self.url, "version"]
        return subprocess.run(argv, check=False, capture_output=True).returncode == 0
