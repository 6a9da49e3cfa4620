"""How a blocked command is allowed: out of the list that blocks it, or into the one that lacks it, by release."""

from __future__ import annotations

import pytest

from tests.unit.test_doctor import facts, without
from tui.doctor.fixes import TheirFix
from tui.doctor.reasons import allow_step
from tui.doctor.remedies import remedies
from tui.doctor.systems import CARE, Family, System, care_of, system_at, system_of
from tui.doctor.verdict import examination_of

BLOCKED = without("guest-exec", "guest-exec-status", blocked=True)
NAMES = "guest-exec, guest-exec-status"


def steps(system: System) -> list[str]:
    made = remedies(examination_of(facts(agent=BLOCKED, system=system)))
    return [fix.title for fix in made if isinstance(fix, TheirFix) and NAMES in fix.title]


@pytest.mark.parametrize(
    ("system_id", "version", "titles"),
    [
        ("rhel", "7.9", [f"Take out of BLACKLIST_RPC: {NAMES}"]),
        ("centos", "7", [f"Take out of BLACKLIST_RPC: {NAMES}"]),
        ("almalinux", "8.10", [f"Take out of BLACKLIST_RPC: {NAMES}"]),
        ("rhel", "9.2", [f"Take out of BLOCK_RPCS: {NAMES}"]),
        ("rocky", "9.4", [f"Add to --allow-rpcs of FILTER_RPC_ARGS: {NAMES}"]),
        ("centos", "9", [f"Add to --allow-rpcs of FILTER_RPC_ARGS: {NAMES}"]),
        ("ol", "10.0", [f"Add to --allow-rpcs of FILTER_RPC_ARGS: {NAMES}"]),
        ("fedora", "41", [f"Add to --allow-rpcs of FILTER_RPC_ARGS: {NAMES}"]),
        ("opensuse-tumbleweed", "20250101", [f"Take out of --block-rpcs of FILTER_RPC_ARGS: {NAMES}"]),
        (
            "debian",
            "12",
            [f"Take out of block-rpcs: {NAMES}", f"Or add to allow-rpcs, if set: {NAMES}"],
        ),
    ],
)
def test_a_name_is_taken_out_of_a_list_that_blocks_and_added_to_one_that_allows(
    system_id: str, version: str, titles: list[str]
) -> None:
    system = system_of(system_id, "the agent says so", version)
    assert steps(system) == titles
    assert ("take it out of" in allow_step(system)) is any(title.startswith("Take") for title in titles)
    assert ("add it to" in allow_step(system)) is any("dd " in title for title in titles)


@pytest.mark.parametrize("system", [System(Family.RHEL, "you said so"), system_of("amzn", "it says so", "2023")])
def test_without_a_known_release_each_list_of_the_family_is_named(system: System) -> None:
    told = "\n".join(steps(system))
    assert [words for words in ("BLACKLIST_RPC", "BLOCK_RPCS", "FILTER_RPC_ARGS") if words not in told] == []


def test_release_seven_has_no_dnf() -> None:
    assert care_of(system_of("rhel", "it says so", "7.9")).install == "yum install qemu-guest-agent"
    assert care_of(system_of("rhel", "it says so", "8.4")).install == CARE[Family.RHEL].install


def test_libosinfos_url_tells_the_release() -> None:
    system = system_at("http://redhat.com/rhel/7.9")
    assert system is not None
    assert (system.family, system.id, system.version) == (Family.RHEL, "rhel", "7.9")
    assert system_at("http://example.org/x/1") is None
    short = system_at("http://debian.org")
    assert short is not None
    assert (short.family, short.version) == (Family.DEBIAN, "")
