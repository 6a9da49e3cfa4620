"""A disk of a domain as its XML describes it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DiskTrait(StrEnum):
    """What a definition says of a disk, or of an image below it, that decides whether its image is all of it."""

    SLICE = "slice"
    """It is a part of its image, which holds more (`<slices>`)."""
    NETWORK_BELOW = "network-below"
    """An image below it is reached over the network, or is no file or device at all."""
    DATA_FILE = "data-file"
    """Its data is in another file (`<dataStore>`)."""
    THROTTLED = "throttled"
    """It has filters that bound its rate (`<throttlefilters>`)."""
    OVER_NETWORK = "over-network"
    """QEMU itself opens the volume over the network (`mode='direct'`)."""


@dataclass(frozen=True, slots=True)
class Disk:
    """One `<disk>`: raw values of the XML, empty where the XML is silent.

    `source` is the path of a `file` or `block` disk, `pool/volume` of a volume, a name of a network disk; it may be
    empty though there is a medium: `is_empty` is true only where there is no `<source>` at all. `backing` lists the
    paths below the active image, nearest first; `base_format` is the format of the nearest. `encrypted` where any
    image of the chain is.
    """

    target: str
    device: str
    source_type: str
    source: str
    format: str
    bus: str = ""
    readonly: bool = False
    shareable: bool = False
    transient: bool = False
    encrypted: bool = False
    backing: tuple[str, ...] = ()
    base_format: str = ""
    mirror_job: str = ""
    mirror_ready: bool = False
    is_empty: bool = False
    traits: frozenset[DiskTrait] = frozenset()
