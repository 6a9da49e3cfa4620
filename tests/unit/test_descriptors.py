"""The limit of open files, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

ASK = """
import resource
from tui.system.descriptors import allow_many_descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))
told = allow_many_descriptors()
assert told == resource.getrlimit(resource.RLIMIT_NOFILE)[0], told
print(told)
"""


@pytest.mark.parametrize(("hard", "wanted"), [(4096, 4096), (256, 256)])
def test_the_soft_limit_is_raised_as_far_as_is_allowed(hard: int, wanted: int) -> None:
    done = subprocess.run([sys.executable, "-c", ASK.format(hard=hard)], capture_output=True, check=True)
    assert int(done.stdout) == wanted
