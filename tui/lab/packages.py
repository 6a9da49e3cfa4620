"""Fetches the Debian packages that a guest is made of and unpacks them, without root and without installing any."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection
from pathlib import Path

from tui.lab.programs import LabError, Report, run_program

ARCHITECTURE = "amd64"
KERNEL = "linux-image-cloud-amd64"
"""Depends on the kernel proper, whose name carries its version."""
AGENT = "qemu-guest-agent"
SHELL = "busybox-static"

_ONLY_NEEDED = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
_URI_LINE = re.compile(r"'\S+' (\S+\.deb) (\d+) \S+")
_PROGRESS = re.compile(r"Get:(\d+) \S+ \S+ \S+ (\S+)")


def parse_depends(text: str) -> dict[str, tuple[str, ...]]:
    """What each package of an `apt-cache depends` listing needs: real packages, the first of alternatives included."""
    needs: dict[str, tuple[str, ...]] = {}
    package = ""
    for line in text.splitlines():
        if line and not line[0].isspace():
            package = line.strip()
            needs.setdefault(package, ())
            continue
        kind, found, name = line.strip().lstrip("|").partition("Depends: ")
        if found and kind in ("", "Pre") and not name.startswith("<"):
            needs[package] = (*needs[package], name)
    return needs


def libraries_of(package: str, needs: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The shared library packages below `package`, sorted. Debian names them lib…, and zlib1g."""
    found: set[str] = set()
    waiting = [package]
    while waiting:
        for name in needs.get(waiting.pop(), ()):
            if name.startswith(("lib", "zlib")) and name not in found:
                found.add(name)
                waiting.append(name)
    return tuple(sorted(found))


def parse_print_uris(text: str) -> dict[str, int]:
    """The archives that `apt-get --print-uris download` announces: file name to size in bytes."""
    return {found[1]: int(found[2]) for line in text.splitlines() if (found := _URI_LINE.match(line))}


async def fetch_packages(archives: Path, target: Path, report: Report) -> tuple[Path, Path]:
    """Download into `archives` what is not there, unpack into `target`.

    Returns the folder of the kernel's package, and the one of agent, shell and libraries.

    Raises LabError with the way out when apt is missing, knows no such package or cannot reach its mirror.
    """
    if shutil.which("apt-get") is None:
        raise LabError(
            "The demo's guests could not be built",
            cause="they are made of Debian packages, and this machine has no apt-get",
            next_step="Run the demo on Debian or Ubuntu; `qga-tui` itself works everywhere.",
        )
    architecture = (await run_program("dpkg", "--print-architecture")).strip()
    if architecture != ARCHITECTURE:
        raise LabError("The demo's guests could not be built", cause=f"they are {ARCHITECTURE}, this is {architecture}")
    report("asking apt which packages a guest needs")
    kernel = next((name for name in (await _depends(KERNEL))[KERNEL] if name.startswith("linux-image-")), "")
    if not kernel:
        raise _unknown_package(f"{KERNEL} names no kernel")
    userland = (AGENT, SHELL, *libraries_of(AGENT, await _depends(AGENT, "--recurse")))
    for archive in await _download((kernel, *userland), archives, target, report):
        name = archive.name.partition("_")[0]
        report(f"unpacking {name}")
        await run_program("dpkg", "-x", archive, target / ("kernel" if name == kernel else "userland"))
    return target / "kernel", target / "userland"


async def _depends(package: str, *options: str) -> dict[str, tuple[str, ...]]:
    try:
        text = await run_program("apt-cache", "depends", *options, *(f"--no-{kind}" for kind in _ONLY_NEEDED), package)
    except LabError as error:
        raise _unknown_package(error.original or error.cause) from error
    return parse_depends(text)


async def _download(packages: tuple[str, ...], archives: Path, announced_in: Path, report: Report) -> tuple[Path, ...]:
    """Bring `archives` up to date; apt announces only what is not where it runs, so `announced_in` has no archives."""
    # Without the option apt, run by root, drops to a user who cannot write into this folder, and warns.
    as_us = ("-o", "APT::Sandbox::User=root") if os.geteuid() == 0 else ()
    download = ("apt-get", "download", *as_us, *packages)
    try:
        sizes = parse_print_uris(await run_program(*download, "--print-uris", cwd=announced_in))
        _forget_others(archives, sizes)
        missing = _missing(archives, sizes)
        if missing:
            report(f"fetching {len(missing)} packages, {sum(missing.values()) / 1e6:.0f} MB")

        def on_line(line: str) -> None:
            if progress := _PROGRESS.match(line):
                report(f"downloading {progress[2]} ({progress[1]}/{len(missing)})")

        # Apt verifies the checksums of what is there already, too.
        await run_program(*download, cwd=archives, on_line=on_line)
    except LabError as error:
        text = error.original
        if "Unable to locate package" in text or "no candidate" in text or "select candidate" in text:
            raise _unknown_package(text) from error
        raise _not_downloaded(error.cause, text) from error
    if len(sizes) != len(packages):
        raise _not_downloaded(f"apt has {len(sizes)} archives for {len(packages)} packages")
    if lacking := _missing(archives, sizes):
        raise _not_downloaded(f"apt left out {', '.join(sorted(lacking))}")
    return tuple(archives / name for name in sorted(sizes))


def _missing(folder: Path, sizes: dict[str, int]) -> dict[str, int]:
    """What of `sizes` is not in the folder in full."""
    present = {path.name: path.stat().st_size for path in folder.iterdir()}
    return {name: size for name, size in sizes.items() if present.get(name) != size}


def _forget_others(folder: Path, wanted: Collection[str]) -> None:
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()


def _not_downloaded(cause: str, original: str = "") -> LabError:
    return LabError(
        "The guests' packages could not be downloaded",
        cause=cause,
        next_step="Look at the network and at the mirrors in /etc/apt, run `apt-get update`, then try again.",
        original=original,
    )


def _unknown_package(original: str) -> LabError:
    return LabError(
        "The guests' packages could not be found",
        cause="apt has no list of packages, or an old one",
        next_step="Run `apt-get update` as root, then try again.",
        original=original,
    )
