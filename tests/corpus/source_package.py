"""Brings the source of a Debian package into the cache, checked by apt against the archive's signed lists.

It has an apt configuration and lists of its own in the cache, so that the machine's are neither needed nor touched.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tui.lab.programs import host_environment
from tui.settings import cache_folder

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
USUAL_ARCHIVE = "http://deb.debian.org/debian"
APT_S = 300
"""Seconds for one call of apt-get: the list of a suite's sources has 10 MB."""


class NotHadError(Exception):
    """A source package could not be had; the text says why."""


@dataclass(frozen=True, slots=True)
class SourcePackage:
    """The source of a package in a suite of Debian, such as libvirt's in trixie."""

    name: str
    suite: str

    @property
    def folder(self) -> Path:
        """Where it is kept."""
        return cache_folder() / "corpus" / f"{self.name}-{self.suite}"


def tarball(package: SourcePackage) -> Path:
    """The upstream tarball, downloaded once and checked by its sum each time; raises NotHadError. Blocks."""
    package.folder.mkdir(parents=True, exist_ok=True)
    with _alone(package.folder):
        return _kept(package) or _downloaded(package)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time: tests run side by side."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _kept(package: SourcePackage) -> Path | None:
    try:
        noted = json.loads((package.folder / "source.json").read_text("utf-8"))
        path = package.folder / str(noted["file"])
        return path if _sha256(path) == noted["sha256"] else None
    except (OSError, ValueError, KeyError):
        return None


def _downloaded(package: SourcePackage) -> Path:
    if shutil.which("apt-get") is None:
        raise NotHadError("this machine has no apt-get")
    apt = package.folder / "apt"
    options = _configuration(apt, package.suite)
    try:
        _apt(options, "update", "-o", "APT::Update::Error-Mode=any", folder=package.folder)
        source = f"{package.name}/{package.suite}"
        _apt(options, "source", "--download-only", "--tar-only", source, folder=package.folder)
    finally:
        shutil.rmtree(apt)
    found = [path for path in package.folder.iterdir() if ".orig.tar." in path.name and path.suffix != ".asc"]
    if len(found) != 1:
        raise NotHadError(f"apt-get left {len(found)} tarballs of {package.name} in {package.suite}")
    noted = {"file": found[0].name, "sha256": _sha256(found[0])}
    (package.folder / "source.json").write_text(json.dumps(noted), "utf-8")
    return found[0]


def _configuration(apt: Path, suite: str) -> tuple[str, ...]:
    """Options that keep apt-get within a folder, whose one source are the packages' sources in `suite`."""
    shutil.rmtree(apt, ignore_errors=True)
    for part in ("state/lists/partial", "cache/archives/partial"):
        (apt / part).mkdir(parents=True)
    signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
    (apt / "sources.list").write_text(f"deb-src {signed}{_archive()} {suite} main\n")
    settings = {
        "Dir::State": apt / "state",
        "Dir::Cache": apt / "cache",
        "Dir::Etc::SourceList": apt / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Acquire::Languages": "none",
    }
    if os.geteuid() == 0:
        # apt, run by root, would drop to a user who cannot write into this folder.
        settings["APT::Sandbox::User"] = "root"
    return tuple(f"-o{name}={value}" for name, value in settings.items())


def _archive() -> str:
    """The archive of Debian that this machine is set up with, or the usual one."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(ORIGIN) $(COMPONENT)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        env=host_environment(),
        check=False,
    ).stdout
    sites = [words[0] for line in listed.splitlines() if (words := line.split())[1:] == ["Debian", "main"]]
    return next((site for site in sites if "security" not in site), USUAL_ARCHIVE)


def _apt(options: tuple[str, ...], *words: str, folder: Path) -> None:
    try:
        subprocess.run(
            ["apt-get", "-q", *options, *words],
            cwd=folder,
            env=host_environment(),
            capture_output=True,
            check=True,
            text=True,
            timeout=APT_S,
        )
    except subprocess.CalledProcessError as error:
        raise NotHadError(f"apt-get {words[0]}: {error.stderr.strip()[-500:]}") from error
    except subprocess.TimeoutExpired as error:
        raise NotHadError(f"apt-get {words[0]} did not end in {APT_S} s") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
