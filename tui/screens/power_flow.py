"""From the wish to change a guest's power to what was done: menu, question in proportion to the harm, act, result."""

from __future__ import annotations

from collections.abc import Mapping

from textual.app import App

from tui.fleet.power import HARMLESS, PowerAct, carry_out, why_not
from tui.hosts.port import Host, HostError
from tui.model.guest import Guest
from tui.model.text import printable
from tui.screens.confirm import ConfirmScreen
from tui.screens.line import LineScreen
from tui.screens.power import PowerScreen, consequence, question
from tui.screens.used_marks import take_marks_away


async def change_power(
    app: App[None], hosts: Mapping[str, Host], guests: tuple[Guest, ...], act: PowerAct | None = None
) -> None:
    """Ask what to do unless `act` says so, ask whether to, do it on each guest that it makes sense for, and tell.

    Marks on the guests are used up by what is meant, and stay where the user turned back.
    """
    act = act or await app.push_screen_wait(PowerScreen(guests))
    if act is None:
        return
    able = tuple(guest for guest in guests if not why_not(act, guest))
    if not able:
        app.notify(f"Not now: {printable(why_not(act, guests[0]))}.", severity="warning", markup=False)
        return
    if not await _is_meant(app, act, able):
        return
    take_marks_away(app, guests)
    for guest in able:
        try:
            done = await carry_out(hosts[guest.id.host], guest, act)
            app.notify(printable(f"{done}."), markup=False)
        except HostError as error:
            app.notify(printable(error.one_line()), title=printable(guest.name), severity="error", markup=False)


async def _is_meant(app: App[None], act: PowerAct, guests: tuple[Guest, ...]) -> bool:
    if act in HARMLESS:
        return True
    if act is PowerAct.FORCE_OFF and len(guests) > 1:
        wanted = f"force off {len(guests)}"
        asked = printable(f"{consequence(act, guests)} Type  {wanted}  to do it.")
        return await app.push_screen_wait(LineScreen(asked)) == wanted
    confirm = ConfirmScreen(
        question(act, guests), consequence(act, guests), yes=printable(act.capitalize()), no=printable("Leave it")
    )
    meant: bool = await app.push_screen_wait(confirm)
    return meant
