"""Let a person step into a running AiiDA workflow: ask, wait, judge, go on."""

from .exceptions import (
    HumanInTheLoopError,
    InvalidAnswer,
    NoSuchWorkflow,
    Unreachable,
)
from .interactive import InteractiveWorkChain
from .question import Answer, Question, Verdict
from .workflows.guessing_game import HumanLoopWorkChain

__all__ = [
    "Answer",
    "HumanInTheLoopError",
    "HumanLoopWorkChain",
    "InteractiveWorkChain",
    "InvalidAnswer",
    "NoSuchWorkflow",
    "Question",
    "Unreachable",
    "Verdict",
]
