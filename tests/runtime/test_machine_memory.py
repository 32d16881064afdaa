"""Memory that was freed goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rnj_agent.runtime.machine import resident_memory_bytes

SCATTERED = """
import ctypes, sys
from rnj_agent.runtime.machine import resident_memory_bytes, return_freed_memory
libc = ctypes.CDLL(None)
if not hasattr(libc, "malloc_trim"):
    sys.exit(3)
libc.malloc.restype = ctypes.c_void_p
size, count = 64 * 1024, 2000
blocks = [libc.malloc(size) for _ in range(count)]
for block in blocks:
    ctypes.memset(block, 1, size)
for block in blocks[::2]:
    libc.free(ctypes.c_void_p(block))
before = resident_memory_bytes()
return_freed_memory()
print((before - resident_memory_bytes()) / (size * count / 2))
"""


@pytest.mark.skipif(
    not resident_memory_bytes(), reason="this system does not tell what is resident"
)
def test_holes_between_used_blocks_are_returned() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCATTERED], capture_output=True, text=True, check=False
    )
    if done.returncode == 3:
        pytest.skip("the C library is not glibc: it has no malloc_trim, and no such holes to fill")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0.8
