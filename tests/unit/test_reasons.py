"""What an agent's error tells its user to do: the step that mends it, for the guest's own system where that matters."""

from __future__ import annotations

import pytest

from tui.agent import errors
from tui.doctor.causes import Cause
from tui.doctor.reasons import explain, mend
from tui.doctor.systems import Family, System
from tui.hosts.faults import agent_error

BLOCKED_72 = "internal error: unable to execute QEMU agent command 'guest-exec': Command guest-exec has been disabled"
BLOCKED_100 = f"{BLOCKED_72.partition(': Command')[0]}: Command guest-exec is not allowed: the command is not allowed"


@pytest.mark.parametrize(
    ("family", "setting", "file", "then"),
    [
        (Family.DEBIAN, "block-rpcs", "/etc/qemu/qemu-ga.conf", "systemctl restart qemu-guest-agent"),
        (Family.RHEL, "FILTER_RPC_ARGS", "/etc/sysconfig/qemu-ga", "systemctl restart qemu-guest-agent"),
        (Family.SUSE, "FILTER_RPC_ARGS", "/etc/sysconfig/qemu-ga", "systemctl restart qemu-guest-agent"),
        (Family.ALPINE, "--block-rpcs", "/etc/conf.d/qemu-guest-agent", "rc-service qemu-guest-agent restart"),
        (Family.ARCH, "allow-rpcs", "/etc/qemu/qemu-ga.conf", "systemctl restart qemu-guest-agent"),
        (Family.FREEBSD, "qemu_guest_agent_flags", "/etc/rc.conf", "service qemu-guest-agent restart"),
        (Family.WINDOWS, "--block-rpcs", "ImagePath in the registry", "Restart-Service QEMU-GA"),
    ],
)
@pytest.mark.parametrize("text", [BLOCKED_72, BLOCKED_100])
def test_a_blocked_command_names_the_setting_the_file_and_the_restart_of_that_system(
    text: str, family: Family, setting: str, file: str, then: str
) -> None:
    error = agent_error(1, text)
    assert isinstance(error, errors.CommandUnavailableError)
    step = explain(error, System(family, "it says so")).next_step
    assert [words for words in (str(family), setting, file, then) if words not in step] == []


def test_an_agent_that_says_it_is_frozen_is_to_be_thawed_though_it_refuses_in_the_words_of_a_policy() -> None:
    assert explain(agent_error(1, BLOCKED_100), frozen=True).next_step == mend(Cause.FROZEN)


def test_a_refusal_over_a_raw_line_is_judged_by_the_agents_own_words() -> None:
    cause = "it is blocked by the guest's policy, the guest is frozen, or the agent is too old"
    for original, cause_behind in (("The command x has not been found", Cause.TOO_OLD), ("frozen state", Cause.FROZEN)):
        error = errors.CommandUnavailableError("no", cause=cause, original=original)
        assert explain(error).next_step == mend(cause_behind)
    error = errors.CommandUnavailableError("no", cause=cause, original="Command x has been disabled")
    assert "block-rpcs" in explain(error).next_step


def test_an_error_that_knows_its_next_step_keeps_it() -> None:
    error = errors.NotConnectedError("no", next_step="Do this.")
    assert explain(error) is error
    assert explain(errors.NotConnectedError("no")).next_step == mend(Cause.PORT_CLOSED)


def test_a_program_that_the_guest_denies_leads_to_the_doctor() -> None:
    refusal = (
        "internal error: unable to execute QEMU agent command 'guest-exec': Failed to execute child process \"/x\" "
    )
    denied = agent_error(1, f"{refusal}(Permission denied)")
    assert type(denied) is errors.CommandFailedError
    assert explain(denied).next_step.startswith(
        "See in the guest whether that file may be executed. If it may, let the"
    )
    assert explain(agent_error(1, f"{refusal}(No such file or directory)")).next_step == ""
    unreadable = "internal error: unable to execute QEMU agent command 'guest-file-open': open: Permission denied"
    assert explain(agent_error(1, unreadable)).next_step == ""
