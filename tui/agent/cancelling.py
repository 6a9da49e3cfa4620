"""Work that is given up once somebody cancels what it is for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def unless_set(cancel: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Await `work`, or cancel it and return None once `cancel` is set; work that ended at the same moment counts."""
    working, stop = asyncio.ensure_future(work), asyncio.ensure_future(cancel.wait())
    try:
        await asyncio.wait({working, stop}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait({working})
    return None if working.cancelled() else working.result()
