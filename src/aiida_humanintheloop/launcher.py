"""Take up again what waits for a person, without a word to the database for each.

aiida-core's launcher reads node and checkpoint of each process whose task it gets,
before any code of a plugin is asked: half of what it takes to load a process.
"""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import Any

from aiida.common.log import AIIDA_LOGGER
from aiida.engine.persistence import get_object_loader
from aiida.engine.processes.launcher import ProcessLauncher
from aiida.engine.runners import Runner
from aiida.orm import load_node
from aiida.orm.utils.serialize import serialize
from plumpy.persistence import LoadSaveContext

from . import database
from .custody import Custody

__all__ = ["Launcher"]

_LOGGER = AIIDA_LOGGER.getChild("humanintheloop.launcher")


class Launcher(ProcessLauncher):
    """A launcher like the one that a worker begins with, for all but what waits."""

    def __init__(self, runner: Runner) -> None:
        """Launch in the worker that has this runner."""
        super().__init__(
            loop=runner.loop,
            persister=runner.persister,
            load_context=LoadSaveContext(runner=runner),
            loader=get_object_loader(),
        )
        self._runner = runner

    async def _continue(
        self, communicator: Any, pid: Any, nowait: bool, tag: str | None = None
    ) -> Any:
        """Take a process up; one that waits is not loaded yet."""
        # A task that fails is acknowledged, and lost.
        await database.returns()
        if nowait or not self._waits(pid):
            launch: Any = super()._continue
            return await launch(communicator, pid, nowait, tag)
        custody = Custody(pid, self._runner)
        try:
            await custody.step_until_terminated()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            message = "failed to recreate the process instance in order to continue it."
            give_up: Any = self.handle_continue_exception
            give_up(load_node(pid), error, message)
            raise
        return serialize(custody.future().result())

    def _waits(self, pk: int) -> bool:
        """Return whether a process of our kind stood still at the first task.

        Whether it still does is asked when this worker has it.
        """
        try:
            return pk in self._waiting
        except Exception:
            _LOGGER.exception("it is not known which workflows wait")
            return False

    @cached_property
    def _waiting(self) -> set[int]:
        """The PKs of all workflows of our kind that stood still at the first task."""
        from .waiting import unfinished

        return set(unfinished({"attributes.paused": True}))
