"""What is written together, and what is done when it is."""

from __future__ import annotations

import threading

import pytest

from aiida_humanintheloop.database import after_commit, one_commit


def test_what_follows_waits_for_its_own_commit_and_no_other(profile: str) -> None:
    """A worker tells people from a thread that writes by itself."""
    done: list[str] = []
    is_in, may_go = threading.Event(), threading.Event()

    def write() -> None:
        with one_commit():
            after_commit(lambda: done.append("theirs"))
            is_in.set()
            may_go.wait(60)

    other = threading.Thread(target=write)
    other.start()
    assert is_in.wait(60)
    after_commit(lambda: done.append("ours"))
    assert done == ["ours"]
    may_go.set()
    other.join()
    assert done == ["ours", "theirs"]


def test_nothing_follows_what_is_not_written(profile: str) -> None:
    """Not then, and not after the next commit."""
    done: list[str] = []

    def fail() -> None:
        with one_commit():
            after_commit(lambda: done.append("never"))
            raise RuntimeError("on the way")

    with pytest.raises(RuntimeError, match="on the way"):
        fail()
    with one_commit():
        with one_commit():
            after_commit(lambda: done.append("at last"))
        assert not done
    assert done == ["at last"]
