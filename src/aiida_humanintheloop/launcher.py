"""Take up processes of ours without what aiida-core's launcher does for each.

That reads node and checkpoint of each process whose task it gets, before any code of a
plugin is asked: half of what it takes to load a process. And it keeps both for as long
as the process lives: with every commit SQLAlchemy marks every node as out of date that
anybody has, and with 500 of them ordinary work takes a third more of a worker.
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
from .unfinished import unfinished

__all__ = ["Launcher"]

_LOGGER = AIIDA_LOGGER.getChild("humanintheloop.launcher")


class Launcher(ProcessLauncher):
    """A launcher like the one that a worker begins with, for all but those of ours."""

    def __init__(self, runner: Runner) -> None:
        """Launch in the worker that has this runner."""
        super().__init__(
            loop=runner.loop,
            persister=runner.persister,
            load_context=LoadSaveContext(runner=runner),
            loader=get_object_loader(),
        )
        self._runner = runner
        self._one_at_a_time = asyncio.Lock()

    async def _continue(
        self, communicator: Any, pid: Any, nowait: bool, tag: str | None = None
    ) -> Any:
        """Take a process up; one of ours is loaded by its custody."""
        async with self._one_at_a_time:  # to see that SQLite is locked takes seconds
            while (is_ours := self._is_ours(pid)) is None:
                # A task that fails is acknowledged, and lost.
                await database.returns()
        if nowait or not is_ours:
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

    def _is_ours(self, pk: int) -> bool | None:
        """Return whether a process is of our kind, and has not ended.

        :return: None if the database does not say so now.
        """
        try:
            return pk in self._waiting or bool(unfinished({"id": pk}))
        except Exception as error:
            if database.is_lost(error):
                return None
            _LOGGER.exception("it is not known whether %d waits for a person", pk)
            return False

    @cached_property
    def _waiting(self) -> set[int]:
        """The PKs of all workflows of our kind that stood still at the first task.

        Hundreds come at once after a restart, and are asked for together. Whether one
        still stands still is asked when this worker has it.
        """
        return set(unfinished({"attributes.paused": True}))
