"""A work chain that may stand still for weeks, and costs next to nothing meanwhile.

It gives its slot of the daemon's worker back while it is paused, is never run twice at
the same time, and goes on from its last checkpoint when the worker dies or the database
goes away. See docs/waiting.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any

import kiwipy
from aiida.common.log import AIIDA_LOGGER
from aiida.engine import WorkChain
from aiida.engine.runners import Runner
from aiida.orm import Node
from plumpy.persistence import LoadSaveContext
from plumpy.process_states import State
from sqlalchemy.exc import SQLAlchemyError

from . import database, lifeline, ownership, recovery
from .custody import Custody
from .database import DatabaseLost, attach, is_detached, one_commit
from .exceptions import Unreachable
from .lifeline import BrokerLost
from .rest import callers_of
from .slots import Slots

__all__ = ["WaitingWorkChain"]


_LOGGER = AIIDA_LOGGER.getChild("humanintheloop.waiting")
_WAKE_SECONDS = (0.005, 0.1)
_IDLE_SECONDS = 10.0


def _wake() -> None:
    """Do nothing: that it is called is enough."""


def _nodes_in(values: Iterable[Any]) -> Iterator[Node]:
    """Yield the nodes among values, at any depth."""
    for value in values:
        if isinstance(value, Node):
            yield value
        elif isinstance(value, Mapping):
            yield from _nodes_in(value.values())
        elif isinstance(value, (list, tuple)):
            yield from _nodes_in(value)


@contextmanager
def _told_if_possible() -> Iterator[None]:
    """Have nobody be told of a state while the broker is away."""
    try:
        yield
    except Exception as error:
        if not lifeline.is_away(error):
            raise
        _LOGGER.warning("nobody is told of a new state: no broker")


class _ListensForIt:
    """The communicator of a process whose messages its custody takes and hands on."""

    def __init__(self, communicator: kiwipy.Communicator) -> None:
        self._communicator = communicator

    def broadcast_send(self, *args: Any, **kwargs: Any) -> bool:
        """Tell of what is being written as soon as it is.

        Whoever hears of it looks; and RabbitMQ may be away, which takes ten seconds to
        say, in which nobody else could write.
        """
        database.after_commit(partial(self._broadcast, *args, **kwargs))
        return True

    def _broadcast(self, *args: Any, **kwargs: Any) -> None:
        with _told_if_possible():
            self._communicator.broadcast_send(*args, **kwargs)

    def add_rpc_subscriber(self, _subscriber: Any, identifier: str) -> str:
        """Leave it to the custody."""
        return identifier

    def remove_rpc_subscriber(self, identifier: str) -> None:
        """Leave it to the custody."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._communicator, name)


class WaitingWorkChain(WorkChain):
    """What `InteractiveWorkChain` is to the engine: a work chain that waits well."""

    #: Whether it is loaded again where it cannot go on, see `custody`.
    is_in_custody = False
    # Whether something was done in memory that did not reach the database.
    _is_ahead = False

    @classmethod
    def recreate_from(
        cls, saved_state: Any, load_context: LoadSaveContext | None = None
    ) -> Any:
        """Take this process up in a worker of the daemon, unless another has it."""
        load: Any = partial(super().recreate_from, load_context=load_context)
        runner: Runner | None = getattr(load_context, "runner", None)
        if load_context is not None and "in_custody" in load_context:
            return load(saved_state)
        if runner is None or not runner.is_daemon_runner:
            process = load(saved_state)
            process.look_again()
            return process
        lifeline.hold(runner)
        recovery.watch(runner)
        return Custody(saved_state["_pid"], runner)

    def load_instance_state(self, saved_state: Any, load_context: Any) -> None:
        """Load, and leave the messages to the custody, if there is one."""
        load: Any = super().load_instance_state
        load(saved_state, load_context)
        if "in_custody" in load_context and self._communicator is not None:
            self._communicator = _ListensForIt(self._communicator)

    def init(self) -> None:
        """Begin without a slot where it stood still when it was last seen.

        What `engine.run` runs nobody else may: a worker finds no process that replies,
        and takes its task for lost. Of what a worker has, its custody sees to that.

        :raises Unreachable: if it is to be run here, and is run elsewhere.
        """
        super().init()
        self.touch()
        is_deaf = self.runner.communicator is None
        if self._is_run_here and not ownership.hold(self._pk, is_deaf):
            raise Unreachable(f"{self._pk} is run elsewhere, so it is not run here.")
        if self.paused:
            self._give_slot_back()

    def call_soon(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call back from the loop, unless the process has been loaded anew since.

        What it waits for still knows this one, too, and what fails in this one would
        take the checkpoint from the other.
        """
        return None if self._closed else super().call_soon(callback, *args, **kwargs)

    def callback_excepted(
        self, callback: Any, exception: BaseException | None, trace: Any
    ) -> None:
        """Fail, unless the process has been loaded anew since, or shall be."""
        if self.is_in_custody and exception and database.is_lost(exception):
            self._is_ahead = True  # of what it heard nobody tells it again
        elif not self._closed:
            super().callback_excepted(callback, exception, trace)

    def look_again(self) -> None:
        """Take up what happened meanwhile, as far as no message told of it."""
        self.touch()

    @property
    def is_idle(self) -> bool:
        """Whether it has waited for a while, and nobody had a word for it."""
        return self.paused and self.loop.time() > self._touched_at + _IDLE_SECONDS

    def touch(self) -> None:
        """Have it not count as idle for a while."""
        self._touched_at = self.loop.time()

    # region the slot

    def _give_slot_back(self) -> None:
        """Let others have the slot, and those of the workflows that wait for this."""
        Slots.of(self.runner).give_back(self._pk, self._callers())

    def _callers(self) -> list[int]:
        """Return the PKs of the workflows that wait for this one in turn."""
        if self._parent_pid is None:
            return []
        try:
            return callers_of([self._pk])[self._pk]
        except SQLAlchemyError:
            _LOGGER.warning("the slots of the callers of %d are kept", self._pk)
            return []

    def on_playing(self) -> None:
        """Count against the slots of the worker again."""
        super().on_playing()
        Slots.of(self.runner).take_back(self._pk)

    def on_close(self) -> None:
        """Leave nothing behind in the worker."""
        super().on_close()
        if self._paused is not None and not self._paused.done():
            # plumpy 0.26 waits on when a process is killed that is paused, and would
            # hold its task until the worker ends.
            self._paused.set_result(True)
        Slots.of(self.runner).take_back(self._pk)
        if self._is_run_here:
            ownership.release(self._pk)

    @property
    def _is_run_here(self) -> bool:
        """Whether no worker of the daemon has it; without provenance it has no PK."""
        return not self.runner.is_daemon_runner and isinstance(self.pid, int)

    @property
    def _pk(self) -> int:
        pid: Any = self.pid
        return pid or 0  # where it could not even be made

    # endregion
    # region messages

    def message_receive(self, _comm: kiwipy.Communicator, msg: dict[str, Any]) -> Any:
        """Take a message, and have the reply sent at once."""
        self.touch()
        self._reply_at_once()
        return self.receive(_comm, msg)

    def receive(self, _comm: kiwipy.Communicator, msg: dict[str, Any]) -> Any:
        """Do what a message says."""
        return super().message_receive(_comm, msg)

    def _schedule_rpc(
        self, callback: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Do what a message says; who sent it is told where the database is away."""

        def tell() -> Any:
            if self._closed and not self.has_terminated():
                raise Unreachable("The process is being loaded anew: try again.")
            try:
                # What is half done where the connection turns out to be gone would be
                # in the way of the next try.
                database.catch_up()
                return callback(*args, **kwargs)
            except (DatabaseLost, SQLAlchemyError) as lost:
                if not database.is_lost(lost):
                    raise
                raise Unreachable("The database is away: try again.") from lost
            except BrokerLost as lost:
                raise Unreachable("The broker went away: try again.") from lost

        return super()._schedule_rpc(tell)

    def _reply_at_once(self) -> None:
        """Wake the loop when the reply is there.

        plumpy 0.26 asks for the reply from another thread, and where it is there by
        then does not wake the loop, which may sleep for seconds if nothing else runs.
        """
        for seconds in _WAKE_SECONDS:
            self.loop.call_later(seconds, _wake)

    # endregion
    # region what is written

    @property
    def is_stale(self) -> bool:
        """Whether this process is in a worker that has to load it again to go on."""
        return self.is_in_custody and (self._is_ahead or is_detached(self.node))

    @property
    def is_cut_off(self) -> bool:
        """Whether a node that this process has cannot be read any more."""
        return any(map(is_detached, _nodes_in([self.node, self._raw_inputs, self.ctx])))

    @contextmanager
    def _one_commit(self) -> Iterator[None]:
        """Write to the database together what belongs together, see `one_commit`."""
        try:
            if self.is_stale:
                raise DatabaseLost
            with one_commit():
                yield
        except DatabaseLost as lost:
            self._is_ahead = True
            if not self.is_in_custody and lost.__cause__ is not None:
                raise lost.__cause__ from None  # nobody would load it again
            raise

    @contextmanager
    def _lost_not_failed(self) -> Iterator[None]:
        """Have a database or broker that goes away not fail what can be loaded again.

        :raises DatabaseLost: in place of whatever the one was noticed by.
        :raises BrokerLost: in place of whatever the other was noticed by.
        """
        if not self.is_in_custody:
            yield
            return
        if self.is_stale:
            raise DatabaseLost
        try:
            with database.lost_not_failed(), lifeline.lost_not_failed():
                yield
        except (DatabaseLost, BrokerLost):
            self._is_ahead = True  # not only in a step, whose end the custody sees
            raise

    def _do_step(self) -> Any:
        """Run the next step, unless it follows from what the database does not know.

        A query that fails in a step detaches the nodes of all processes of this worker.
        """
        if self.is_in_custody and self.is_cut_off:
            raise DatabaseLost
        with self._lost_not_failed():
            try:
                return super()._do_step()
            finally:
                if is_detached(self.node):
                    # How the step ended shall not be lost, or it would run again.
                    attach(self.node)

    def _do_pause(self, state_msg: Any, next_state: State | None = None) -> bool:
        """Write the pause and the state before it together, and give the slot back.

        A step that ended the process is not followed by a pause.
        """
        if next_state is not None and next_state.is_terminal():
            self._pausing = None
            self.transition_to(next_state)
            return False
        try:
            with self._one_commit():
                if next_state is not None:
                    self.transition_to(next_state)
                if self.has_terminated():  # the transition failed
                    self._pausing = None
                    return False
                paused: bool = super()._do_pause(state_msg)
        except Exception as error:
            # plumpy would keep it to itself and step on, without a pause, for ever.
            self._pausing = None
            if database.is_lost(error):
                raise DatabaseLost from error  # that it failed could not be written
            self.fail(error, error.__traceback__)
            return False
        self.touch()
        self._give_slot_back()
        return paused

    def on_entering(self, state: State) -> None:
        """Prepare for a state; what goes away meanwhile does not fail it."""
        with self._lost_not_failed():
            super().on_entering(state)

    def on_entered(self, from_state: State | None) -> None:
        """Write the state and its checkpoint together, unless others wait for it."""
        is_one = from_state is not None and not self.has_terminated()
        written = self._one_commit() if is_one else self._lost_not_failed()
        with written, _told_if_possible():  # one that is being made tells at once
            super().on_entered(from_state)

    def update_outputs(self) -> None:
        """Attach new outputs, where there are any at all.

        To ask the database which of none are new is a quarter of what a worker does
        from an answer to the next question.
        """
        if self.outputs:
            super().update_outputs()

    def _save_checkpoint(self) -> None:
        """Save a checkpoint, but not of the state on the way into a pause.

        The pause saves its own, in the same commit.
        """
        if self._pausing is None or self.paused:
            super()._save_checkpoint()

    def encode_input_args(self, inputs: Any) -> str:
        """Encode inputs once: they never change, and each checkpoint has them twice."""
        kinds = {"raw": self._raw_inputs, "parsed": self._parsed_inputs}
        kind = next((kind for kind in kinds if inputs is kinds[kind]), None)
        if kind is None:
            return super().encode_input_args(inputs)
        if kind not in self._encoded:
            self._encoded[kind] = super().encode_input_args(inputs)
        return self._encoded[kind]

    @cached_property
    def _encoded(self) -> dict[str, str]:
        return {}

    # endregion
