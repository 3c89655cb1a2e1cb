"""The tutorial without Docker, started as a new user would, in a fresh clone.

The clone's folder has a space and an umlaut, and the user's environment is full of what
must not leak in: one installation meets all of that at once.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.scripts.seat import Seat, files_below

TOKEN = re.compile(r"http://127\.0\.0\.1:(\d+)/\?token=([0-9a-f]{48})")


@pytest.fixture(scope="module")
def seat(tmp_path_factory):
    """Start the tutorial once; leave nothing running and no link behind."""
    seat = Seat(tmp_path_factory.mktemp("embedded"))
    before = files_below(seat.home)
    try:
        seat.first = seat.make("up")
        yield seat
        assert files_below(seat.home) == before
    finally:
        seat.make("clean", FORCE="1", ENGINE="local", DOCKER_HOST="unix:///nowhere")


def test_the_first_start_says_what_it_does_in_three_lines(seat):
    """One line for the wait, one for what runs, one with the address."""
    installing, running, address = seat.first
    assert installing == "Installing into .tutorial/venv; this takes about a minute."
    assert running == (
        "The tutorial is running on this machine (SQLite and ZeroMQ). Open:"
    )
    assert int(TOKEN.fullmatch(address)[1]) == seat.port


def test_a_second_start_changes_nothing(seat):
    """The same processes, the same address, no installation; its port is remembered."""
    pids = seat.pids()
    assert seat.make("up") == seat.first[1:]
    assert seat.make("up", PORT="") == seat.first[1:]
    assert seat.pids() == pids
    assert pids.keys() == {"JupyterLab", "daemon", "worker", "broker"}


def test_jupyterlab_answers_to_the_token_only(seat):
    """Who has the address of `make url` is let in; who has no token is not."""
    (address,) = seat.make("url")
    port, token = TOKEN.fullmatch(address).groups()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    api = f"http://127.0.0.1:{port}/api/contents"
    with opener.open(f"{api}?token={token}") as answer:
        names = [entry["name"] for entry in json.load(answer)["content"]]
    assert "tutorial" in names
    for wrong in ("", "?token=", "?token=mine"):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            opener.open(api + wrong)
    token_file = seat.clone / ".tutorial" / "token"
    assert token_file.stat().st_mode & 0o777 == 0o600


def test_jupyterlab_listens_on_loopback_only(seat):
    """No other machine can reach it."""
    listening = [
        line.split()[1]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if line.split()[1].endswith(f":{seat.port:04X}") and line.split()[3] == "0A"
    ]
    assert listening == [f"0100007F:{seat.port:04X}"]


def test_a_calculation_runs_in_the_daemon(seat):
    """The profile, broker, worker and computer work together."""
    program = """
import time
from aiida import load_profile, orm
from aiida.engine import submit
from aiida.plugins import CalculationFactory
load_profile()
computer = orm.load_computer("localhost")
code = orm.InstalledCode(computer=computer, filepath_executable="/bin/bash").store()
add = CalculationFactory("core.arithmetic.add")
node = submit(add, code=code, x=orm.Int(4), y=orm.Int(5))
deadline = time.time() + 60
while not node.is_terminated and time.time() < deadline:
    time.sleep(0.5)
print(node.process_state.value, node.outputs.sum.value)
"""
    assert seat.inside(program).split() == ["finished", "9"]


def test_the_daemon_finds_what_the_reader_writes(seat):
    """What has the name of somebody else's module is nobody's but the reader's."""
    mine = seat.clone / ".tutorial" / "home" / "my_workflows"
    (mine / "random.py").write_text("raise SystemExit('nobody asked for this one')")
    (mine / "my_own.py").write_text("""
from aiida import orm
from aiida.engine import WorkChain
class MyOwn(WorkChain):
    @classmethod
    def define(cls, spec):
        super().define(spec)
        spec.outline(cls.go)
        spec.output("number", valid_type=orm.Int)
    def go(self):
        self.out("number", orm.Int(42).store())
""")
    program = """
import time
from aiida import load_profile
from aiida.engine import submit
from my_own import MyOwn
load_profile()
node = submit(MyOwn)
deadline = time.time() + 60
while not node.is_terminated and time.time() < deadline:
    time.sleep(0.5)
print(node.process_state.value, node.outputs.number.value)
"""
    assert seat.inside(program).split() == ["finished", "42"]
    assert "nobody asked" not in "\n".join(seat.make("up"))


def test_the_reader_writes_a_workflow_in_chapter_8(seat):
    """The kernel and the daemon both find it; the other chapters need no more."""
    pages = seat.clone / ".tutorial" / "home" / "tutorial"
    done = pages.parent / "done.ipynb"
    page = pages / "08-write-your-own.md"
    seat.run("jupytext", "--to", "ipynb", "--run-path", pages, "--output", done, page)
    assert "All of it works. Well done!" in done.read_text()


def test_the_profile_is_shown_and_kept(seat):
    """`make profile` where there is one only shows it."""
    shown = "\n".join(seat.make("profile"))
    for part in ("profile:     tutorial", "SqliteDosStorage", "Daemon is running"):
        assert part in shown
    config = seat.clone / ".tutorial" / "aiida" / ".aiida" / "config.json"
    profile = json.loads(config.read_text())["profiles"]["tutorial"]
    assert profile["options"]["daemon.timeout"] == 45


def test_the_walkthrough_reaches_its_end(seat):
    """Every command of the blog does on this machine what the text says."""
    assert seat.make("walkthrough")[-1] == "Everything did what the text says."


def test_the_logs_are_shown_with_their_paths(seat):
    """Those of JupyterLab, of verdi, and of AiiDA's own daemon."""
    shown = [line for line in seat.make("logs") if line.startswith("--- ")]
    for name in ("jupyterlab.log", "verdi.log", "aiida-tutorial.log"):
        assert any(line.endswith(f"/{name}") for line in shown), shown


def test_a_shell_from_a_pipe_runs_what_it_reads(seat):
    """It has the tutorial's verdi, the reader's scripts, and the system's test."""
    done = subprocess.run(
        ["make", "--silent", "shell"],
        cwd=seat.clone,
        env=seat.variables,
        input="type -P verdi auto-guess.py test; echo $AIIDA_PATH",
        capture_output=True,
        text=True,
        timeout=60,
    )
    verdi, script, test, path = done.stdout.splitlines()
    assert verdi.endswith("/.tutorial/venv/bin/verdi")
    assert script.endswith("/.tutorial/venv/bin/auto-guess.py")
    assert test == shutil.which("test")
    assert path.endswith("/.tutorial/aiida")


def test_a_shell_is_the_tutorials_even_with_other_settings_in_bashrc(seat):
    """A terminal reads the person's own settings first, and ours have the last word."""
    rc = seat.home / ".bashrc"
    rc.write_text("export AIIDA_PATH=~ PATH=/usr/bin:/bin\nalias mine=true\n")
    try:
        bashrc = seat.clone / ".tutorial" / "bashrc"
        asked = "which verdi; echo $AIIDA_PATH; type mine"
        said = subprocess.run(
            ["bash", "--rcfile", bashrc, "-i", "-c", asked],
            env=seat.variables,
            capture_output=True,
            text=True,
            start_new_session=True,
        ).stdout.splitlines()
    finally:
        rc.unlink()
    assert said[0].endswith("/.tutorial/venv/bin/verdi")
    assert said[1].endswith("/.tutorial/aiida")
    assert "alias" in said[2]


@pytest.mark.parametrize(
    "killed", [["daemon"], ["broker"], ["JupyterLab"], ["daemon", "worker", "broker"]]
)
def test_a_start_mends_what_was_killed(seat, killed):
    """SIGKILL leaves orphans and stale files; `make up` does not mind."""
    before = seat.pids()
    if killed == ["broker"]:
        time.sleep(4)  # ps tells ages in seconds, and the broker's is what shows it
    for role in killed:
        os.kill(int(before[role]), signal.SIGKILL)
    if killed == ["broker"]:
        # The daemon starts another one by itself, which the worker does not hear.
        deadline = time.monotonic() + 20
        while seat.pids("any").get("broker") in (before["broker"], None):
            assert time.monotonic() < deadline
    assert seat.make("up")[-1] == seat.first[-1]
    after = seat.pids()
    assert after.keys() == before.keys()
    assert not {after[role] for role in killed} & set(before.values())


def test_a_stop_leaves_no_process_and_a_start_without_a_port_says_so(seat):
    """After `make down` nothing runs; a taken port is one line, with another one."""
    assert seat.make("down") == [
        "The tutorial is stopped; its data is kept. `make up` goes on from here."
    ]
    assert seat.processes() == []
    assert not list(seat.home.parent.glob("aiida_zeromq_*"))
    assert seat.make("down")[0].startswith("The tutorial is not running")
    assert seat.make("status", expect=2)[0].startswith("The tutorial is not running")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", seat.port))
        other.listen()
        line, rest, _ = seat.make("up", expect=2)
    assert line.startswith(f"Port {seat.port} is in use by another program.")
    assert rest == "Nothing was started. (make doctor looks again)"
    assert seat.processes() == []
    assert seat.make("up", PORT="") == seat.first[1:]


def test_fresh_pages_keep_what_the_reader_wrote(seat):
    """`make reset` gives every page back and keeps the reader's as a copy."""
    pages = seat.clone / ".tutorial" / "home" / "tutorial"
    page = next(iter(sorted(pages.glob("*.md"))))
    original = page.read_text()
    page.write_text("mine")
    assert "is fresh again; your version is" in seat.make("reset")[0]
    assert page.read_text() == original
    assert [p.read_text() for p in pages.glob(f"{page.stem}.2*.md")] == ["mine"]


def test_nothing_is_removed_without_being_asked(seat):
    """`make clean` without a terminal wants FORCE=1."""
    line, how, _ = seat.make("clean", expect=2)
    assert line.startswith("This removes the tutorial with all data and notebooks")
    assert how == "If that is meant: FORCE=1 make clean"
    assert (seat.clone / ".tutorial").is_dir()
