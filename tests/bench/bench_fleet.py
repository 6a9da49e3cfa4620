"""The guest list with a thousand domains: first full table, refresh, and what it costs to do nothing."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.terminal import Terminal
from tui.hosts.libvirt_host import LibvirtHost

DOMAINS = 1000
RUNS = 5
SAMPLE = 100
"""Domains that the shell loop dumps; its time is scaled to all."""
IDLE_S = 60.0
EMPTY_APP = "from textual.app import App\nclass A(App):\n def on_ready(self): self.exit()\nA().run()"

DOMAIN = """<domain type='test'><name>guest{0:04d}</name><memory unit='MiB'>512</memory><vcpu>2</vcpu>
<os><type>hvm</type></os><devices><disk type='file' device='disk'><source file='/images/{0}.qcow2'/>
<target dev='vda' bus='virtio'/></disk></devices></domain>"""


@contextmanager
def thousand_domains() -> Iterator[str]:
    """The URI of a test driver with many running domains."""
    with tempfile.TemporaryDirectory(prefix="qga-tui-") as folder:
        path = Path(folder) / "node.xml"
        path.write_text(f"<node>{''.join(DOMAIN.format(number) for number in range(DOMAINS))}</node>")
        yield f"test://{path}"


def first_full_table(uri: str) -> float:
    """Seconds from the start until all guests are counted and drawn."""
    with Terminal([sys.executable, "-m", "tui", "-c", uri]) as terminal:
        return terminal.read_until(lambda written: f"{DOMAINS} guests".encode() in written)


def peer_start(uri: str) -> float:
    """Seconds of an empty Textual app from start to end, and of `virsh list --all`."""
    with Terminal([sys.executable, "-c", EMPTY_APP]) as terminal:
        app = terminal.read_to_end()
    begun = time.perf_counter()
    subprocess.run(["virsh", "-c", uri, "list", "--all"], check=True, capture_output=True)
    return app + time.perf_counter() - begun


async def refresh_seconds(uri: str) -> float:
    """The time of reading all domains anew on an open connection."""
    host = LibvirtHost(uri, "test")
    await host.open()
    await host.list_domains()
    begun = time.perf_counter()
    listed = await host.list_domains()
    assert len(listed) == DOMAINS
    return time.perf_counter() - begun


def shell_loop_seconds(uri: str) -> float:
    """The time of a shell loop of `virsh dumpxml` over the domains, scaled from a sample."""
    names = " ".join(f"guest{number:04d}" for number in range(SAMPLE))
    begun = time.perf_counter()
    loop = f"for name in {names}; do virsh -c '{uri}' dumpxml $name; done"
    subprocess.run(["sh", "-c", loop], check=True, capture_output=True)
    return (time.perf_counter() - begun) * DOMAINS / SAMPLE


def one_virsh_seconds(uri: str) -> float:
    """The same dumps in one virsh, which pays its start only once."""
    commands = "; ".join(f"dumpxml guest{number:04d}" for number in range(DOMAINS))
    begun = time.perf_counter()
    subprocess.run(["virsh", "-c", uri, commands], check=True, capture_output=True)
    return time.perf_counter() - begun


def idle(uri: str) -> tuple[int, float]:
    """Bytes written to the terminal and share of a core in a minute in which nothing changes."""
    with Terminal([sys.executable, "-m", "tui", "-c", uri]) as terminal:
        terminal.read_until(lambda written: f"{DOMAINS} guests".encode() in written)
        terminal.read_for(5.0)
        before = terminal.cpu_seconds()
        written = terminal.read_for(IDLE_S)
        return written, (terminal.cpu_seconds() - before) / IDLE_S


def main() -> None:
    """Print the ratios."""
    with thousand_domains() as uri:
        pairs = [(first_full_table(uri), peer_start(uri)) for _ in range(RUNS)]
        ours, peer = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
        ratio = statistics.median(ours / peer for ours, peer in pairs)
        print(f"start to full table {ours:.2f} s, empty app + virsh list {peer:.2f} s: ratio {ratio:.2f} (aim: 3)")
        refresh = statistics.median(asyncio.run(refresh_seconds(uri)) for _ in range(RUNS))
        loop = shell_loop_seconds(uri)
        share = refresh / loop * 100
        print(f"refresh {refresh:.3f} s, loop of virsh dumpxml {loop:.1f} s: {share:.1f} % (aim: under 5 %)")
        one = one_virsh_seconds(uri)
        print(f"the same dumps in a single virsh {one:.3f} s: ratio {refresh / one:.2f}")
        written, core = idle(uri)
        print(
            f"idle for {IDLE_S:.0f} s: {written} bytes to the terminal (aim: 0), {core * 100:.2f} % of a core (aim: 1)"
        )


if __name__ == "__main__":
    main()
