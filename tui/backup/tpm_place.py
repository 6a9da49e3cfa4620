"""Where libvirt keeps the state of a guest's emulated TPM, and whether it can be read there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tui.backup.tpm import Tpm, TpmDevice, look_at_state, tpm_device
from tui.hosts.lanes import apart
from tui.hosts.port import Host
from tui.hosts.same_files import why_not_here
from tui.settings import config_folder

SYSTEM_FOLDER = Path("/var/lib/libvirt/swtpm")
"""The states of the system's libvirt, each in a folder named by its guest's UUID."""
UNPROVEN = "its state cannot be read as a file of this machine"
_PROCESSES = Path("/proc")
_STATE_WORDS = ("dir=", "backend-uri=dir://")


@dataclass(frozen=True, slots=True)
class TpmEvidence:
    """A guest's TPM and its state; `problem` says why that cannot be kept, empty where it can.

    Without state and problem there is nothing to keep: swtpm makes the state at the guest's first start.
    """

    device: TpmDevice
    state: Tpm | None = None
    problem: str = ""


async def look_at_tpm(host: Host, xml: str, *, name: str, uuid: str, runs: bool) -> TpmEvidence | None:
    """What is known of a guest's TPM, None without one. Raises MalformedXmlError and HostError."""
    device = tpm_device(xml)
    if device is None:
        return None
    beyond = _beyond_reach(device)
    if beyond:
        return TpmEvidence(device, problem=beyond)
    elsewhere = await why_not_here(host)
    if elsewhere:
        return TpmEvidence(device, problem=f"{UNPROVEN}: {elsewhere}")
    place = await apart(_place, device, host.uri, uuid)
    elsewhere = await why_not_here(host, [place])
    if elsewhere:
        return TpmEvidence(device, problem=f"{UNPROVEN}: {elsewhere}")
    return await apart(partial(_look, place, device, host.uri, name, runs=runs))


def _place(device: TpmDevice, uri: str, uuid: str) -> str:
    return device.source or _running_state(uri, uuid) or str(default_folder(uri) / uuid / device.layout)


def _look(path: str, device: TpmDevice, uri: str, name: str, *, runs: bool) -> TpmEvidence:
    try:
        state = look_at_state(path, device)
    except PermissionError:
        return TpmEvidence(device, problem=f"this user may not read {path}")
    except OSError as error:
        return TpmEvidence(device, problem=f"{path}: {error.strerror}")
    if state is None and (runs or not _is_sure(uri, device, name)):
        return TpmEvidence(device, problem=f"its state is not in {path}, where libvirt keeps it")
    return TpmEvidence(device, state)


def _beyond_reach(device: TpmDevice) -> str:
    if device.backend == "passthrough":
        return "it is the host's own TPM, which gives its state to nobody"
    if not device.is_emulated:
        return f"its state is with the program that runs it, not with libvirt (type {device.backend or 'unknown'})"
    if device.source_type not in ("", "dir"):
        return f"its state is kept as a {device.source_type}, {device.source}, which is not supported yet"
    return ""


def default_folder(uri: str) -> Path:
    """Where a libvirt of this machine keeps the states: the system's, or that of this user's session."""
    return config_folder().parent / "libvirt/qemu/swtpm" if _is_session(uri) else SYSTEM_FOLDER


def _is_session(uri: str) -> bool:
    return urlsplit(uri).path == "/session"


def _is_sure(uri: str, device: TpmDevice, name: str) -> bool:
    """Whether a state that is not in its place is nowhere: a session's daemon may have another configuration folder."""
    return bool(device.source) or not _is_session(uri) or (default_folder(uri).parent / f"{name}.xml").exists()


def _running_state(uri: str, uuid: str) -> str:
    """The folder of a running guest's state in a session's daemon, as its swtpm was told; empty where that is unknown.

    Only processes of the session's own user are asked: anybody else could start one that names any folder.
    """
    if not _is_session(uri):
        return ""
    try:
        user = _session_user(uri)
        commands = [_command(process) for process in _PROCESSES.iterdir() if process.name.isdecimal()]
    except OSError:
        return ""
    found = (state_of_command(words, uuid) for words, owner in commands if owner == user)
    return next((path for path in found if path), "")


def _session_user(uri: str) -> int:
    socket = parse_qs(urlsplit(uri).query).get("socket", [""])[0]
    return Path(socket or "/proc/self").stat().st_uid


def _command(process: Path) -> tuple[list[str], int]:
    """The words of a process and its user; none of one that is gone."""
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
        return [word.decode("utf-8", "surrogateescape") for word in words], process.stat().st_uid
    except OSError:
        return [], -1


def state_of_command(words: list[str], uuid: str) -> str:
    """The folder that an swtpm's command line names as a guest's state, empty where it is another program's or guest's.

    libvirt writes `--tpmstate dir=PATH,mode=0600`, and since 10.10 a `backend-uri=dir://PATH` for a chosen one.
    """
    if not words or Path(words[0]).name != "swtpm" or "--tpmstate" not in words[:-1]:
        return ""
    told = words[words.index("--tpmstate") + 1].partition(",mode=")[0]
    path = next((told.removeprefix(word) for word in _STATE_WORDS if told.startswith(word)), "")
    return path if Path(path).parent.name == uuid else ""
