"""How a worker gives back the slot of a process that waits for a person.

A broker hands a worker no more tasks than it has slots, and counts each task until it
is acknowledged, which is when its process ends. A process that waits for a person keeps
its task, as that is what brings it back when the worker dies. So the worker declares
more slots instead: one for each process that stands still. See docs/waiting.md.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import chain
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from aiida.brokers.rabbitmq import RabbitmqBroker
from aiida.brokers.rabbitmq.utils import get_launch_queue_name
from aiida.brokers.zeromq import ZeromqBroker
from aiida.common.log import AIIDA_LOGGER
from aiida.engine.runners import Runner
from aiida.manage import get_config_option, get_manager
from plumpy.communications import convert_to_comm
from plumpy.futures import unwrap_kiwi_future

from . import lifeline

__all__ = ["Slots"]

# Hundreds of workflows may ask at once; the broker is told of them together.
_TOGETHER_SECONDS = 0.005
_TRY_AGAIN_SECONDS = 5.0

_LOGGER = AIIDA_LOGGER.getChild("humanintheloop.slots")


class Slots:
    """The slots of one worker: those it was given, and one for each that waits."""

    _of: ClassVar[WeakKeyDictionary[Runner, Slots]] = WeakKeyDictionary()

    def __init__(self, runner: Runner) -> None:
        """Begin with the slots that the worker was given."""
        self._loop = runner.loop
        self._waiting: dict[int, tuple[int, ...]] = {}
        self._told = 0
        self._due: asyncio.TimerHandle | None = None
        self._broker = _broker_of(runner, self._tell_soon)

    @classmethod
    def of(cls, runner: Runner) -> Slots:
        """Return the slots of the worker that has this runner."""
        if runner not in cls._of:
            cls._of[runner] = cls(runner)
        return cls._of[runner]

    def give_back(self, pk: int, callers: Iterable[int] = ()) -> None:
        """Have slots for others in place of those that a waiting process holds.

        :param pk: the process that waits.
        :param callers: the processes that wait for it in turn, in whatever worker.
        """
        self._waiting[pk] = (pk, *callers)
        self._tell_if_changed()

    def take_back(self, pk: int) -> None:
        """Count a process again, since it goes on or has ended."""
        if self._waiting.pop(pk, None) is not None:
            self._tell_if_changed()

    @property
    def _extra(self) -> int:
        return len(set(chain.from_iterable(self._waiting.values())))

    def _tell_if_changed(self) -> None:
        if self._extra != self._told:
            self._tell_soon()

    def _tell_soon(self, seconds: float = _TOGETHER_SECONDS) -> None:
        if self._due is None:
            self._due = self._loop.call_later(seconds, self._tell)

    def _tell(self) -> None:
        self._due, extra = None, self._extra
        try:
            if self._broker is not None:
                self._broker.declare(extra)
            self._told = extra
        except Exception as error:
            if lifeline.is_away(error):
                _LOGGER.warning("the broker is not told of %d more slots yet", extra)
            else:
                _LOGGER.exception("the broker was not told of %d more slots", extra)
            self._tell_soon(_TRY_AGAIN_SECONDS)


class _Broker(ABC):
    """How one kind of broker is told of more slots."""

    @abstractmethod
    def declare(self, extra: int) -> None:
        """Have as many slots more than the worker was given."""


class _Zeromq(_Broker):
    """The ZeroMQ broker takes the number that a worker declared last."""

    def __init__(self, slots: int, communicator: Any, launch: Any) -> None:
        """Prepare; nothing is told yet.

        :raises AttributeError: by an aiida-core that is not known, see `declare`.
        """
        self._slots = slots
        self._communicator = communicator
        self._launch = launch
        _ = communicator._task_prefetch_count, communicator._task_subscribers

    def declare(self, extra: int) -> None:
        # aiida-core 2.9 sends the number only along with a subscription: take the place
        # of the one that is there.
        self._communicator._task_prefetch_count = self._slots + extra
        for name in list(self._communicator._task_subscribers):
            self._communicator.add_task_subscriber(self._launch, name)


class _Rabbitmq(_Broker):
    """RabbitMQ holds a consumer to the number it began with: begin more consumers.

    Each listens to the queue of the workers on a channel of its own, with a number of
    its own. They grow with the number that waits, so that some dozens are enough, and
    stay until two of the last one's size are not needed, so that a round of questions
    and answers does not end one and begin one each time.

    One that is ended keeps the tasks that it has. Until they are done they count, and
    its channel is not used again: RabbitMQ would hand it as many tasks once more.
    """

    def __init__(
        self, slots: int, communicator: Any, launch: Any, on_less: Callable[[], None]
    ) -> None:
        """Prepare; nothing is told yet.

        :param on_less: called from any thread when one that was ended has less tasks.
        :raises AttributeError: by an aiida-core that is not known.
        """
        # The worker may have twice as many slots too many: no reason to stop for less.
        self._most = max(slots // 8, 2)
        self._communicator = communicator
        self._queue_name = get_launch_queue_name(_broker()._prefix)
        self._launch = launch
        self._on_less = on_less
        self._begun: list[_Consumer] = []
        self._ended: list[_Consumer] = []

    def declare(self, extra: int) -> None:
        have = sum(each.size for each in self._begun)
        have += sum(each.held for each in self._ended)
        while have < extra:
            have += self._begin(min(max(have // 4, 1), self._most))
        while self._begun and (extra == 0 or have - 2 * self._begun[-1].size >= extra):
            have -= self._end()

    def _begin(self, size: int) -> int:
        """Take up a consumer that rests, or begin one, and return its number."""
        idle = [each for each in self._ended if each.held == 0]
        if idle:
            consumer = max(idle, key=lambda each: each.size)
        else:
            queue = self._communicator.task_queue(self._queue_name, prefetch_count=size)
            consumer = _Consumer(size, queue, self._launch, self._on_less)
            self._ended.append(consumer)  # to be taken up where it does not begin now
        consumer.begin()
        self._ended.remove(consumer)
        self._begun.append(consumer)
        return consumer.size

    def _end(self) -> int:
        """Take no more tasks from a consumer, and return its number."""
        consumer = self._begun[-1]
        consumer.end()
        self._ended.append(self._begun.pop())
        return consumer.size


class _Consumer:
    """One consumer of the queue of the workers, and which of its tasks are not done.

    :ivar size: how many tasks it takes at a time.
    """

    def __init__(
        self, size: int, queue: Any, launch: Any, on_less: Callable[[], None]
    ) -> None:
        self.size = size
        self._queue = queue
        self._launch = launch
        self._on_less = on_less
        self._name: str | None = None
        # Added to and taken from by two threads, which a set allows and a number not.
        self._tasks: set[Any] = set()

    @property
    def held(self) -> int:
        """How many tasks it has."""
        return len(self._tasks)

    def begin(self) -> None:
        """Take tasks."""
        self._name = self._queue.add_task_subscriber(self._take)

    def end(self) -> None:
        """Take no more tasks."""
        try:
            self._queue.remove_task_subscriber(self._name)
        except Exception:
            self.begin()  # kiwipy has forgotten it, and still gets tasks for it
            raise
        self._name = None

    def _take(self, communicator: Any, task: Any) -> Any:
        future = self._launch(communicator, task)
        done = unwrap_kiwi_future(future)
        self._tasks.add(done)
        done.add_done_callback(self._forget)
        return future

    def _forget(self, done: Any) -> None:
        self._tasks.discard(done)
        if self._name is None:
            self._on_less()


def _broker() -> Any:
    return get_manager().get_broker()


def _broker_of(runner: Runner, tell: Callable[[], None]) -> _Broker | None:
    """Return how to declare slots; None where there is nothing to declare.

    :param tell: to be called in the loop of the runner where something has changed.
    """
    slots = get_config_option("daemon.worker_process_slots")
    broker = _broker()
    if not runner.is_daemon_runner or not slots:
        return None

    def tell_from_any_thread() -> None:
        with suppress(RuntimeError):  # the worker ends, and its loop is closed
            runner.loop.call_soon_threadsafe(tell)

    try:
        if isinstance(broker, ZeromqBroker):
            return _Zeromq(slots, broker.get_communicator(), _launch(runner))
        if isinstance(broker, RabbitmqBroker):
            communicator, launch = broker.get_communicator(), _launch(runner)
            return _Rabbitmq(slots, communicator, launch, tell_from_any_thread)
    except AttributeError as error:
        _LOGGER.warning(
            "this aiida-core is not known (%s): what waits for a person holds a slot",
            error,
        )
    return None


def _launch(runner: Runner) -> Any:
    """Return what takes up the tasks of a worker, as a broker calls it."""
    from .launcher import Launcher

    return convert_to_comm(Launcher(runner), runner.loop)
