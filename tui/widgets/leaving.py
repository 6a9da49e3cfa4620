"""What has workers ends them before it loses the parts that they draw on."""

from __future__ import annotations

from textual import on
from textual.dom import DOMNode
from textual.messages import Prune


class EndsWorkersFirst(DOMNode):
    """For screens and widgets with workers.

    Textual ends a node's workers with the node itself, which is after its children: a worker that went on in between
    would look for parts that are gone, and take the program with it.
    """

    @on(Prune)
    def _end_workers(self) -> None:
        self.workers.cancel_node(self)
