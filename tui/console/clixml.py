"""PowerShell's errors: when nobody watches, it writes them as XML (CLIXML) to standard error."""

from __future__ import annotations

import re
from html import unescape

HEAD = "#< CLIXML"
LIMIT = 1_000_000
"""Characters of CLIXML that are gathered; a longer stream is shown as it is."""
_TEXT = re.compile(r'<S S="(?:Error|Warning|Verbose|Debug|Information|verbose|debug|information|warning)">([^<]*)</S>')
_UNIT = re.compile(r"_x([0-9A-Fa-f]{4})_")


def text_of(clixml: str) -> str:
    """The messages in a CLIXML document as plain text; the document itself where there are none.

    Nothing of it is parsed as XML, so that no entity can expand. `_x000A_` is an escaped UTF-16 unit
    (MS-PSRP 2.2.5.3.2).
    """
    messages = _TEXT.findall(clixml)
    if not messages:
        return "" if "<Objs" in clixml and '<S S="' not in clixml else clixml
    text = "".join(_UNIT.sub(lambda unit: chr(int(unit[1], 16)), unescape(message)) for message in messages)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
