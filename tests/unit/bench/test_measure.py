"""What the kernel says of processes."""

import os
import subprocess
import sys
import time

from roskva.bench import measure


def test_this_process() -> None:
    """Memory and CPU of a process are those that it knows of itself."""
    own = [os.getpid()]
    assert 0 < measure.rss(own) <= measure.peak_rss(own)
    assert abs(measure.cpu_seconds(own) - time.process_time()) < 0.1
    assert measure.cpu_seconds([]) == 0.0


def test_another_process() -> None:
    """The CPU time of another process grows while it computes, and of several it is the sum."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        before = measure.cpu_seconds([other.pid, os.getpid()])
        ends_at = time.monotonic() + 20
        while measure.cpu_seconds([other.pid]) < 0.2 and time.monotonic() < ends_at:
            time.sleep(0.01)
        assert measure.cpu_seconds([other.pid, os.getpid()]) - before > 0.1
        other.kill()


def test_kernel_memory() -> None:
    """The kernel's memory is read with and without the right to see its objects."""
    assert measure.kernel_memory() > 0
    assert "/proc/net/sockstat" in measure.kernel_source()


def test_machine() -> None:
    """The machine is described."""
    assert set(measure.machine()) == {"cpu", "cores", "memory", "kernel", "python"}
