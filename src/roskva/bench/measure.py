"""Own what the kernel says: memory and time of processes, memory of its own, and which machine this is.

Only Linux has it (``/proc``).
"""

import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_CPU_CLOCK: Final = 2

SLABINFO: Final = Path("/proc/slabinfo")

_SLABS: Final = frozenset(
    {
        "TCP", "TCPv6", "sock_inode_cache", "filp", "dentry", "eventpoll_epi", "eventpoll_pwq", "lsm_inode_cache",
        "skbuff_head_cache", "skbuff_small_head", "skbuff_fclone_cache", "tcp_bind_bucket", "tcp_bind2_bucket",
    }
)  # fmt: skip
"""The kernel's objects of an open connection; those of files (``dentry``, ``filp``) belong to sockets too."""


def rss(pids: Sequence[int]) -> int:
    """Return the resident memory of processes in bytes; pages that they share count for each."""
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids) * _PAGE


def peak_rss(pids: Sequence[int]) -> int:
    """Return the largest resident memory that each had since it began, summed, in bytes."""
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return the CPU time that processes have used, in user and kernel mode, of threads that ended too.

    Source: the kernel's clock of a process, as ``clock_getcpuclockid`` makes it; ``/proc`` has steps of 10 ms only.
    """
    return sum(time.clock_gettime((~pid << 3) | _CPU_CLOCK) for pid in pids)


def kernel_memory() -> int:
    """Return the bytes that the kernel has in connections, of the whole machine; ``kernel_source`` says which.

    With the right to read ``/proc/slabinfo`` (root) these are the objects of sockets and the pages in
    socket buffers; without, all of the kernel's slabs, which much else changes too.
    """
    slabs = _read_slabs(SLABINFO.read_text()) if _may_read_slabs() else _read_meminfo("Slab:")
    return slabs + _socket_pages()


def kernel_source() -> str:
    """Tell where ``kernel_memory`` is read."""
    slabs = (
        "the sockets' objects in /proc/slabinfo"
        if _may_read_slabs()
        else "all of the kernel's slabs, as only root sees which"
    )
    return f"{slabs}, and buffers in /proc/net/sockstat"


def _may_read_slabs() -> bool:
    return os.access(SLABINFO, os.R_OK)


def _read_slabs(text: str) -> int:
    rows = [line.split()[:4] for line in text.splitlines()[2:]]
    return sum(int(count) * int(size) for name, count, _, size in rows if name in _SLABS)


def _read_meminfo(name: str) -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024


def _socket_pages() -> int:
    """Return the bytes of TCP's buffers."""
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            words = line.split()
            return int(words[words.index("mem") + 1]) * _PAGE
    return 0


def machine() -> dict[str, object]:
    """Describe the machine, for the reader of a report."""
    models = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
              if line.startswith("model name")]  # fmt: skip
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": _read_meminfo("MemTotal:"),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
