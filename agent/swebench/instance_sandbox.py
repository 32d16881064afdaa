"""The sandbox of one instance: its image as SWE-bench made it, with the network closed.

Commands run as the image expects: as root, with root's home, so that bash's profile activates the
image's environment for each of them, and on a root file system that they may change. No capability
comes with that root, and nothing of it reaches the host.
"""

from __future__ import annotations

from typing import Final

from rnj_agent.agent.config import Config
from rnj_agent.sandbox.backend import BackendSandbox
from rnj_agent.sandbox.base import Sandbox, SandboxLimits
from rnj_agent.sandbox.docker import DockerBackend, DockerOptions

WORKDIR: Final = "/testbed"
_GIB: Final = 1024**3
# No more than this: the tests of the repositories see it, and were recorded without.
_ENVIRONMENT: Final = {
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "MANPAGER": "cat",
    "GIT_TERMINAL_PROMPT": "0",
    "PIP_PROGRESS_BAR": "off",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "TQDM_DISABLE": "1",
}


def open_instance_sandbox(config: Config, image: str, *, session_id: str = "") -> Sandbox:
    """A sandbox from an image that the engine has; the caller enters it, which starts it.

    Args:
        config: its bounds, and whether the network is open; kind and image are not read.
        image: as ``ImageSource.ensure`` named it.
        session_id: a label, for whoever looks at the containers.
    """
    settings = config.sandbox
    limits = SandboxLimits(
        memory_bytes=int(settings.memory_gib * _GIB),
        num_pids=settings.num_pids,
        num_cpus=settings.num_cpus,
        disk_bytes=int(settings.disk_gib * _GIB),
    )
    options = DockerOptions(
        image=image,
        workdir=WORKDIR,
        user="0:0",
        home="/root",
        read_only_root=False,
        environment=_ENVIRONMENT,
    )
    return BackendSandbox(
        DockerBackend(options, limits=limits, network=settings.network, session_id=session_id)
    )
