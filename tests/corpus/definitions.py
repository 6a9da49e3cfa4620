"""The definitions of domains in the test suites of libvirt and of virt-manager, or a few of our own in their place."""

from __future__ import annotations

import re
import tarfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.corpus.source_package import NotHadError, SourcePackage, tarball

OWN = Path(__file__).parent / "own"
_LONGEST = 1024 * 1024
_FOLDERS = ("tests/qemu", "tests/generic", "tests/domain", "tests/data", "tests/uitests")
"""Where the two suites keep definitions of QEMU's domains."""
_DOMAIN = re.compile(r"<domain(?=[\s>]).*?</domain>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """One definition and the name of its file below the source's root."""

    name: str
    xml: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """Definitions from one source; `instead_of` says why they are ours in place of it, empty where they are not."""

    name: str
    files: tuple[CorpusFile, ...]
    instead_of: str = ""

    @property
    def words(self) -> str:
        """Which definitions these are, and how many."""
        if self.instead_of:
            own = f"{len(self.files)} definitions of our own"
            return f"{own}, for those of {self.name} could not be had ({self.instead_of})"
        return f"{len(self.files)} definitions of {self.name}"

    def taken(self, every: int) -> tuple[CorpusFile, ...]:
        """All, or every so many-th of others' definitions: of ours there are few."""
        return self.files if self.instead_of else self.files[::every]


CORPORA = (
    SourcePackage("libvirt", "bookworm"),
    SourcePackage("libvirt", "trixie"),
    SourcePackage("virt-manager", "trixie"),
)


def corpus(package: SourcePackage) -> Corpus:
    """Every definition of a package's test suite, each text once. Blocks; downloads at the first time."""
    try:
        source = tarball(package)
    except NotHadError as error:
        own = tuple(CorpusFile(path.name, path.read_text("utf-8")) for path in sorted(OWN.glob("*.xml")))
        return Corpus(f"{package.name}-{package.suite}", own, instead_of=str(error))
    return Corpus(source.name.partition(".orig")[0], tuple(_definitions(source)))


def _definitions(source: Path) -> Iterator[CorpusFile]:
    seen: set[str] = set()
    with tarfile.open(source) as archive:
        for member in archive:
            name = member.name.partition("/")[2]
            if not (name.startswith(_FOLDERS) and name.endswith(".xml") and member.isfile()):
                continue
            file = archive.extractfile(member)
            text = "" if file is None or member.size > _LONGEST else file.read().decode(errors="replace")
            for number, xml in enumerate(_domains(text)):
                if xml not in seen:
                    seen.add(xml)
                    yield CorpusFile(f"{name}#{number}" if number else name, xml)


def _domains(text: str) -> Iterator[str]:
    """The `<domain>` elements of a file, which may hold several, or one within a snapshot."""
    for found in _DOMAIN.finditer(text):
        try:
            root = ET.fromstring(found[0])
        except ET.ParseError:
            continue
        # Lists of capabilities have elements of that name too.
        if root.find("name") is not None:
            yield found[0]
