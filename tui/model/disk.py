"""A disk of a domain as its XML describes it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Disk:
    """One `<disk>`: raw values of the XML, empty where the XML is silent.

    `source` is the path of a `file` or `block` disk, `pool/volume` of a volume, a name of a network disk.
    `backing` lists the paths below the active image, nearest first; `base_format` is the format of the nearest.
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
