"""Text from anybody, made fit for one line that somebody else reads."""

from __future__ import annotations

__all__ = ["one_line", "shortened", "shown"]

_SHOWN_CHARACTERS = 40


def one_line(text: str) -> str:
    """Return text that cannot move the cursor, colour the terminal or break a line."""
    return " ".join(
        "".join(c if c.isprintable() else "\ufffd" for c in part)
        for part in text.split()
    )


def shortened(text: str, most: int) -> str:
    """Return text, or of a longer one the first `most` characters and an ellipsis."""
    return text if len(text) <= most else f"{text[:most]}…"


def shown(raw: object) -> str:
    """Return any value as one short line: no control character, no wall of text."""
    if isinstance(raw, str):
        # One character more than is shown, so that the ellipsis is not lost.
        start = raw[: _SHOWN_CHARACTERS + 1]
        text = repr(start) if raw.isprintable() else ascii(start)
    else:
        try:
            text = ascii(raw) if isinstance(raw, (dict, list)) else repr(raw)
        except (ValueError, RecursionError):  # thousands of digits, or of brackets
            text = f"what was sent, {type(raw).__name__}"
    return shortened(text, _SHOWN_CHARACTERS)
