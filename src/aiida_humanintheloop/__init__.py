"""Let a person step into a running AiiDA workflow: ask, wait, judge, go on."""

from .exceptions import (
    HumanInTheLoopError,
    InvalidAnswer,
    NoSuchWorkflow,
    Unreachable,
)
from .interactive import InteractiveWorkChain
from .kinds import Boolean, Choice, Choices, Float, Integer, Json, Node, Text
from .question import Answer, Question, Verdict
from .restart import InteractiveRestartWorkChain
from .workflows.guessing_game import HumanLoopWorkChain

__all__ = [
    "Answer",
    "Boolean",
    "Choice",
    "Choices",
    "Float",
    "HumanInTheLoopError",
    "HumanLoopWorkChain",
    "Integer",
    "InteractiveRestartWorkChain",
    "InteractiveWorkChain",
    "InvalidAnswer",
    "Json",
    "NoSuchWorkflow",
    "Node",
    "Question",
    "Text",
    "Unreachable",
    "Verdict",
]
