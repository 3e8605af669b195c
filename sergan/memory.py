"""How much memory there is: of the accelerators, of the machine, and of the containers around a process."""

import math
import os
from pathlib import Path

import jax

# Where Linux says how much there is.
_MEMINFO, _CGROUP, _OWN_CGROUP = map(Path, ("/proc/meminfo", "/sys/fs/cgroup", "/proc/self/cgroup"))


def for_training() -> float:
    """Bytes for members: 80 % of what is free on this host's accelerators, half of a CPU's free memory."""
    devices = jax.local_devices()
    stats = devices[0].memory_stats() if devices[0].platform != "cpu" else None
    if stats:
        return 0.8 * (stats["bytes_limit"] - stats["bytes_in_use"]) * len(devices)
    return 0.5 * available()


def available() -> float:
    """Bytes that Linux would give to programs: what is free, and what only keeps files at hand; in a
    container no more than its limit leaves. Elsewhere (macOS) all of the memory."""
    if not _MEMINFO.exists():
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    lines = _MEMINFO.read_text().splitlines()
    kib = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return max(0.0, min(1024 * float(kib), _in_container()))


def _in_container() -> float:
    """Bytes that the limits of the containers and jobs around this process (cgroup v2) leave; without one
    infinite."""
    lines = _OWN_CGROUP.read_text().splitlines() if _OWN_CGROUP.exists() else []
    own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    around = [Path(own), *Path(own).parents]
    return min(_left_in(_CGROUP / folder) for folder in around)


def _left_in(folder: Path) -> float:
    """Bytes that the limit of one cgroup leaves."""
    limit, used, kinds = (folder / f"memory.{name}" for name in ("max", "current", "stat"))
    if not limit.exists() or not limit.read_text().strip().isdigit():
        return math.inf
    held = dict(line.split() for line in kinds.read_text().splitlines()) if kinds.exists() else {}
    files = float(held.get("inactive_file", 0))  # are given up when programs want their place
    return float(limit.read_text()) - float(used.read_text()) + files
