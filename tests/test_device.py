"""Threads and memory of the process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

GROWTH = """
from limner.device import keep_memory
kept = {keep} and keep_memory()
import numpy

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

a = numpy.ones(64_000_000 // 8)
del a
before = resident()
a = numpy.ones(64_000_000 // 8)
del a
print(before, kept)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_freed_memory_stays_with_the_process_where_it_is_asked_to() -> None:
    sizes = {}
    for keep in (False, True):
        run = subprocess.run([sys.executable, "-c", GROWTH.format(keep=keep)], capture_output=True, check=True)
        size, kept = run.stdout.split()
        sizes[keep] = int(size)
        assert kept == str(keep).encode()
    assert sizes[True] - sizes[False] > 50_000_000
