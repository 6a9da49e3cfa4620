"""The QEMU guest agent: typed commands over any transport."""
