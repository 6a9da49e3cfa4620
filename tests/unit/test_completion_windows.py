import pytest

from tui.agent.errors import CommandFailedError
from tui.console.completion_windows import completed, question

SAID = "Program Files\r\nPython\r\n*\r\npage file.sys\r\nreadme.txt\r\n"


@pytest.mark.parametrize(
    ("typed", "line", "candidates"),
    [
        ("type r", "type readme.txt ", ()),
        ("cd prog", 'cd "Program Files\\', ()),
        ('cd "C:\\prog', 'cd "C:\\Program Files\\', ()),
        ("type C:\\pa", 'type "C:\\page file.sys" ', ()),
        ('type "pa', 'type "page file.sys" ', ()),
        ("dir p", "dir p", ("Program Files\\", "Python\\", "page file.sys")),
        ("dir x", "dir x", ()),
        ("echo a&cd py", "echo a&cd Python\\", ()),
    ],
)
def test_a_path_is_completed_as_windows_writes_it(typed: str, line: str, candidates: tuple[str, ...]) -> None:
    result = completed(typed, SAID)
    assert (result.line, result.candidates) == (line, candidates)


def test_the_guest_is_asked_for_folders_and_files_that_begin_so() -> None:
    assert question('dir "C:\\Program F') == 'dir /b /ad "C:\\Program F*" & echo *& dir /b /a-d "C:\\Program F*"'
    with pytest.raises(CommandFailedError, match="wildcards"):
        question("del *.t")
