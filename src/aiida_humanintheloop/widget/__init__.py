"""The inbox in a notebook."""

try:
    import anywidget  # noqa: F401  (said here, in words, instead of somewhere within)
except ImportError as error:
    raise ImportError(
        "The inbox in a notebook needs anywidget: "
        "pip install 'aiida-human-in-the-loop[notebook]'"
    ) from error

from .notebook import Inbox, ask

__all__ = ["Inbox", "ask"]
