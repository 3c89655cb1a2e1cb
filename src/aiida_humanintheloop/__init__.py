"""Let a person step into a running AiiDA workflow: ask, wait, judge, go on.

What a name stands for is imported when it is used: the engine of aiida-core takes two
seconds, for which nobody shall wait who asks a shell for the commands of `aiida-hitl`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_MODULES = {
    "exceptions": "HumanInTheLoopError InvalidAnswer NoSuchWorkflow Unreachable",
    "interactive": "InteractiveWorkChain",
    "kinds": "Boolean Choice Choices Float Integer Json Node Text",
    "question": "Answer Question Verdict",
    "restart": "InteractiveRestartWorkChain",
    "workflows.guessing_game": "HumanLoopWorkChain",
}
_MODULE_OF = {
    name: module for module, names in _MODULES.items() for name in names.split()
}


if not TYPE_CHECKING:  # or whoever checks types would find any name there

    def __getattr__(name: str) -> Any:
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
