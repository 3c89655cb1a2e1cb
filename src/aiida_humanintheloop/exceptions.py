"""What can go wrong between a question and its answer.

HumanInTheLoopError
├── InvalidAddress       nobody can be told there
├── InvalidAnswer        the value does not fit the question
├── NoQuestion           nothing is asked, or not clear which question is meant
├── NoSuchWorkflow       there is no workflow to ask, or it is not one that asks
├── Stopped              the workflow cannot go on now, and may later
└── Unreachable          no daemon, or nothing of it answers
    └── NotLoaded        the daemon runs, and no worker has the workflow
"""

__all__ = [
    "HumanInTheLoopError",
    "InvalidAddress",
    "InvalidAnswer",
    "NoQuestion",
    "NoSuchWorkflow",
    "NotLoaded",
    "Stopped",
    "Unreachable",
]


class HumanInTheLoopError(Exception):
    """Base of all errors of this package; its text is one line for a person."""


class InvalidAddress(HumanInTheLoopError, ValueError):
    """Nobody can be told there, or it is there already."""


class InvalidAnswer(HumanInTheLoopError, ValueError):
    """The value does not fit the question."""


class NoQuestion(HumanInTheLoopError, LookupError):
    """No question is open, or several are and none was named."""


class NoSuchWorkflow(HumanInTheLoopError, LookupError):
    """There is no such workflow, or it is not one that asks questions."""


class Stopped(HumanInTheLoopError):
    """The workflow cannot go on now, and may later."""


class Unreachable(HumanInTheLoopError, ConnectionError):
    """The daemon is not running, or the workflow does not answer it."""


class NotLoaded(Unreachable):
    """No worker of the daemon has the workflow at this moment."""
