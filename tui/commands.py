"""One table of what a user can do; key bindings, palette, help and the README's table are made from it."""

from __future__ import annotations

from tui.model.command import Command, Where

COMMANDS: tuple[Command, ...] = (
    Command("app.help", Where.ANYWHERE, ("question_mark", "f1"), "Help", "Show what the keys do on this screen"),
    Command("app.quit", Where.ANYWHERE, ("ctrl+q",), "Quit", "Leave; backups go on by themselves", footer=False),
    Command(
        "app.command_palette",
        Where.ANYWHERE,
        ("ctrl+p",),
        "Palette",
        "Find any command, or go to a guest by its name from any screen",
        False,
    ),
    Command("app.calls", Where.ANYWHERE, ("f12",), "Calls", "Count the libvirt calls by host and function", False),
    Command(
        "guests.console",
        Where.GUESTS,
        ("x", "enter"),
        "Console",
        "Run commands in the guest under the cursor",
        changes=True,
    ),
    Command(
        "guests.backup",
        Where.GUESTS,
        ("b",),
        "Backup",
        "Back the guest up while it runs, or the marked ones in turn; or see its running backup",
        changes=True,
    ),
    Command(
        "guests.restore",
        Where.GUESTS,
        ("R",),
        "Restore",
        "Find backups, of this guest first; verify them, look inside, restore them",
    ),
    Command("guests.doctor", Where.GUESTS, ("D", "d"), "Doctor", "Why its agent does not answer, and what mends it"),
    Command(
        "guests.power",
        Where.GUESTS,
        ("p",),
        "Power",
        "Start, shut down, reboot, suspend, resume or force off the guest, or the marked ones",
        changes=True,
    ),
    Command("guests.mark", Where.GUESTS, ("space",), "Mark", "Mark the guest for commands on several"),
    Command("guests.jobs", Where.GUESTS, ("B",), "Jobs", "See all backups, and what was left behind on the hosts"),
    Command(
        "guests.filter", Where.GUESTS, ("slash",), "Filter", "Show only guests that match; !word hides those that do"
    ),
    Command("guests.details", Where.GUESTS, ("i",), "Details", "All that is known of the guest, with its timeline"),
    Command(
        "guests.rounds",
        Where.GUESTS,
        ("V",),
        "Verdicts",
        "The doctor's verdict on all or the marked guests",
    ),
    Command("guests.ping", Where.GUESTS, ("r",), "Ping", "Ask the agent under the cursor now, and read the list anew"),
    Command("guests.mark_all", Where.GUESTS, ("a",), "Mark all", "Mark every guest that is shown", footer=False),
    Command("guests.mark_none", Where.GUESTS, ("n",), "Unmark", "Take all marks away", footer=False),
    Command(
        "guests.mark_pattern", Where.GUESTS, ("m",), "Mark by name", "Mark guests by a pattern: web*", footer=False
    ),
    Command("guests.sort_next", Where.GUESTS, ("s",), "Sort", "Sort by the next column", footer=False),
    Command("guests.sort_reverse", Where.GUESTS, ("S",), "Reverse", "Sort the other way round", footer=False),
    Command("guests.columns", Where.GUESTS, ("c",), "Columns", "Choose and order the columns", footer=False),
    Command(
        "guests.beside",
        Where.GUESTS,
        ("w",),
        "Beside",
        "Show or hide the details beside the list, from 120 columns on",
        footer=False,
    ),
    Command(
        "guests.serial",
        Where.GUESTS,
        ("v",),
        "Serial",
        "Open virsh console on the guest; ctrl+] comes back",
        footer=False,
        changes=True,
    ),
    Command(
        "guests.many",
        Where.GUESTS,
        ("e",),
        "Run in all",
        "Run one command in all marked guests at once",
        footer=False,
        changes=True,
    ),
    Command("guests.down", Where.GUESTS, ("j",), "Down", "Move the cursor down; g and G go to the ends", footer=False),
    Command("guests.up", Where.GUESTS, ("k",), "Up", "Move the cursor up", footer=False),
    Command("guests.clear", Where.GUESTS, ("escape",), "Clear", "Clear the filter", footer=False),
    Command("guests.quit", Where.GUESTS, ("q",), "Quit", "Leave; backups go on by themselves"),
    Command("details.back", Where.DETAILS, ("escape", "i", "q"), "Back", "Back to the list"),
    Command("details.refresh", Where.DETAILS, ("r",), "Ask again", "Ask the host and the agent again"),
    Command(
        "console.cancel",
        Where.CONSOLE,
        ("ctrl+c",),
        "Cancel",
        "Copy the selection if there is one, else end the running command; lines that wait are kept, and asked about",
    ),
    Command("console.back", Where.CONSOLE, ("escape",), "Back", "Back to the list; a running command runs on"),
    Command(
        "console.history", Where.CONSOLE, ("ctrl+r",), "History", "Search the lines typed for this guest, in all runs"
    ),
    Command("console.search", Where.CONSOLE, ("ctrl+f",), "Search", "Search in the output"),
    Command(
        "console.search-on", Where.CONSOLE, ("f3",), "Next hit", "Go on searching upwards; from below, once more", False
    ),
    Command(
        "console.newline",
        Where.CONSOLE,
        ("ctrl+j", "alt+enter", "shift+enter"),
        "New line",
        "Go on in a new line; enter then asks whether the lines run as one script or one by one",
        False,
    ),
    Command(
        "console.edit",
        Where.CONSOLE,
        ("ctrl+x ctrl+e",),
        "Edit",
        "Write the command in the editor that $VISUAL or $EDITOR names",
        False,
    ),
    Command(
        "console.waiting",
        Where.CONSOLE,
        ("f9",),
        "Waiting",
        "Let the lines that wait for the running command go on, or remove them",
        False,
    ),
    Command(
        "console.complete", Where.CONSOLE, ("tab",), "Complete", "Complete the path at the cursor, by the guest", False
    ),
    Command(
        "console.shell", Where.CONSOLE, ("f4",), "Shell", "Choose who reads the lines: sh, cmd, PowerShell …", False
    ),
    Command("console.encoding", Where.CONSOLE, ("f5",), "Encoding", "Read the output in another encoding", False),
    Command(
        "console.input",
        Where.CONSOLE,
        ("f6",),
        "Input",
        "Give the next command input: what you type while it runs, or a file",
        False,
    ),
    Command("console.end-input", Where.CONSOLE, ("ctrl+d",), "End input", "End what the command reads", False),
    Command("console.diagnose", Where.CONSOLE, ("f7",), "Diagnose", "Ready-made questions to the guest", False),
    Command("console.look-again", Where.CONSOLE, ("f8",), "Look again", "See what is left of the last command", False),
    Command("console.copy", Where.CONSOLE, ("ctrl+y",), "Copy", "Copy the last command's output, or all of it", False),
    Command(
        "console.save", Where.CONSOLE, ("ctrl+s",), "Save", "Save the transcript, or the last output as it came", False
    ),
    Command(
        "many.open", Where.MANY, ("enter",), "Open", "Show a guest's output or a group's guests, or close them again"
    ),
    Command(
        "many.cancel",
        Where.MANY,
        ("ctrl+c",),
        "Cancel all",
        "Copy the selection if there is one, else end the command in all guests",
    ),
    Command("many.group", Where.MANY, ("g",), "Group", "Group the guests by what came out, or list each"),
    Command("many.search", Where.MANY, ("ctrl+f",), "Search", "Search in the output of the opened guest", False),
    Command("many.search-on", Where.MANY, ("f3",), "Next hit", "Go on searching upwards; from below, once more", False),
    Command("many.copy", Where.MANY, ("ctrl+y",), "Copy", "Copy the opened guest's output, or all of it", False),
    Command(
        "many.save", Where.MANY, ("ctrl+s",), "Save", "Save the opened guest's transcript, or output as it came", False
    ),
    Command("many.back", Where.MANY, ("escape",), "Back", "Back; asks first while the command runs"),
    Command("doctor.copy", Where.DOCTOR, ("c",), "Copy", "Copy the command under the cursor"),
    Command("doctor.look", Where.DOCTOR, ("r",), "Look", "Look again now; it looks by itself too"),
    Command("doctor.system", Where.DOCTOR, ("o",), "System", "Show the commands of another operating system"),
    Command(
        "doctor.serial",
        Where.DOCTOR,
        ("v",),
        "Serial",
        "Open virsh console on the guest; ctrl+] comes back",
        changes=True,
    ),
    Command("doctor.report", Where.DOCTOR, ("m",), "Report", "Copy a report for a ticket, secrets removed"),
    Command("doctor.save", Where.DOCTOR, ("w",), "Write", "Write that report to a file"),
    Command("doctor.down", Where.DOCTOR, ("j",), "Down", "Move the cursor down", footer=False),
    Command("doctor.up", Where.DOCTOR, ("k",), "Up", "Move the cursor up", footer=False),
    Command("doctor.back", Where.DOCTOR, ("escape", "q"), "Back", "Back to where you came from"),
    Command("rounds.open", Where.ROUNDS, ("enter",), "Doctor", "What mends the guest under the cursor", footer=False),
    Command("rounds.look", Where.ROUNDS, ("r",), "Look", "Look at all of them again"),
    Command("rounds.report", Where.ROUNDS, ("m",), "Report", "Copy the table as Markdown"),
    Command("rounds.back", Where.ROUNDS, ("escape", "q"), "Back", "Back to the list"),
    Command(
        "backup.cancel",
        Where.BACKUP,
        ("c",),
        "Cancel",
        "End the running backup; its guest is brought back",
        changes=True,
    ),
    Command(
        "backup.limit",
        Where.BACKUP,
        ("l",),
        "Rate",
        "Change the rate of the running copy, in MB/s; 0 is no limit",
        changes=True,
    ),
    Command(
        "backup.settle",
        Where.BACKUP,
        ("p",),
        "Pause guest",
        "Pause the guest until its disks are merged, where the merge does not gain",
        changes=True,
    ),
    Command(
        "backup.restore",
        Where.BACKUP,
        ("R",),
        "Restore",
        "What can be done with the finished backup: verify, restore …",
    ),
    Command("backup.back", Where.BACKUP, ("escape",), "Back", "One step back; a running backup runs on"),
    Command("jobs.open", Where.JOBS, ("enter",), "Open", "Show the backup or the leftover under the cursor"),
    Command(
        "jobs.restore", Where.JOBS, ("R",), "Restore", "What can be done with the finished backup under the cursor"
    ),
    Command(
        "jobs.cancel",
        Where.JOBS,
        ("c",),
        "Cancel",
        "End the backup or restore under the cursor, or its wait",
        changes=True,
    ),
    Command(
        "jobs.limit",
        Where.JOBS,
        ("l",),
        "Rate",
        "Change the rate of the copy under the cursor, in MB/s; 0 is no limit",
        changes=True,
    ),
    Command(
        "jobs.settle",
        Where.JOBS,
        ("p",),
        "Pause guest",
        "Pause the guest until its disks are merged, where the merge does not gain",
        changes=True,
    ),
    Command("jobs.down", Where.JOBS, ("j",), "Down", "Move the cursor down", footer=False),
    Command("jobs.up", Where.JOBS, ("k",), "Up", "Move the cursor up", footer=False),
    Command("jobs.back", Where.JOBS, ("escape",), "Back", "Back to the list of guests"),
    Command("rescue.back", Where.RESCUE, ("escape",), "Back", "Back; a rescue that was begun goes on"),
    Command(
        "restores.open", Where.RESTORES, ("enter",), "Open", "Show what can be done with the backup under the cursor"
    ),
    Command("restores.verify", Where.RESTORES, ("v",), "Verify", "Read it anew: every sum, every image"),
    Command("restores.folder", Where.RESTORES, ("f",), "Folder", "Look in another folder too"),
    Command("restores.look", Where.RESTORES, ("r",), "Look", "Look for backups again"),
    Command("restores.back", Where.RESTORES, ("escape", "q"), "Back", "Back to the list of guests"),
    Command("verify.back", Where.VERIFY, ("escape",), "Back", "Back; what was read so far is forgotten"),
    Command("restore.back", Where.RESTORE, ("escape",), "Back", "One step back; nothing has happened yet"),
    Command(
        "restore-run.undo",
        Where.RESTORE_RUN,
        ("u",),
        "Undo",
        "Put back what the restore replaced, as long as that is there",
        changes=True,
    ),
    Command("restore-run.back", Where.RESTORE_RUN, ("escape",), "Back", "Back; a running restore runs on"),
    Command("inside.open", Where.INSIDE, ("enter",), "Open", "Enter the folder, or see the file, under the cursor"),
    Command("inside.up", Where.INSIDE, ("backspace",), "Up", "To the folder above"),
    Command("inside.take", Where.INSIDE, ("x",), "Take out", "Copy the file or folder to a path of this machine"),
    Command("inside.back", Where.INSIDE, ("escape", "q"), "Back", "To the folder above; from the first one, back"),
)


def commands_on(where: Where) -> tuple[Command, ...]:
    """The commands of one screen, in the order in which they are shown."""
    return tuple(command for command in COMMANDS if command.where is where)
