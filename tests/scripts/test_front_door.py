"""`make` and its doctor: what they list, what they refuse, and in which words."""

import ast
import importlib.util
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCTOR = ROOT / "scripts" / "doctor.py"
UP_TARGETS = ("up", "down", "url", "status", "logs", "shell", "profile", "walkthrough")


@pytest.fixture
def clone(tmp_path):
    """Lay out a clone's front door and nothing else: nothing can be up in it."""
    clone = tmp_path / "clone"
    (clone / "scripts").mkdir(parents=True)
    for name in ("Makefile", "docker-compose.yml", "pyproject.toml"):
        if (ROOT / name).exists():
            (clone / name).symlink_to(ROOT / name)
    for script in (ROOT / "scripts").iterdir():
        if script.is_file():
            copy = clone / "scripts" / script.name
            copy.write_bytes(script.read_bytes())
            copy.chmod(0o755)
    return clone


@pytest.fixture
def fake_docker(tmp_path, monkeypatch):
    """Give a docker command that fails as it is told, which no engine does."""
    programs = tmp_path / "programs"
    programs.mkdir()

    def make(text):
        docker = programs / "docker"
        docker.write_text(f"#!/bin/sh\n{text}\n")
        docker.chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")

    return make


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    """Take away what the person who runs the tests has set."""
    for name in ("ENGINE", "PORT", "FORCE", "MAKEFLAGS", "MAKELEVEL", "DOCKER_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHON", sys.executable)


def make(clone, *arguments, **variables):
    """Run make and return its exit code and the lines that it printed."""
    done = subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=clone,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    lines = done.stdout.splitlines()
    return done.returncode, [line for line in lines if not line.startswith("make: ***")]


def doctor(engine, prelude="pass", **variables):
    """Run the doctor in a Python that was first brought into some state."""
    program = f"{prelude}\nimport sys, runpy; sys.argv = ['doctor', {engine!r}]\n"
    program += f"runpy.run_path({str(DOCTOR)!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PORT": str(free_port()), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout.splitlines()


def free_port():
    """Return a port that nothing listens on."""
    with socket.socket() as attempt:
        attempt.bind(("127.0.0.1", 0))
        return attempt.getsockname()[1]


def test_make_alone_lists_every_target_with_a_line(clone):
    """A target without its line, or a file of the same name, would be missed."""
    code, lines = make(clone)
    assert code == 0
    listed = dict(re.findall(r"^  make (\w+) +(\S.*)$", "\n".join(lines), re.M))
    phony = re.search(r"\.PHONY: ((?:.*\\\n)*.*)", (ROOT / "Makefile").read_text())
    assert set(phony[1].replace("\\\n", " ").split()) == {*listed, "help"} - (
        {"help"} - listed.keys()
    )
    assert {*UP_TARGETS, "test", "check", "lock", "reset", "clean", "doctor"} <= {
        *listed
    }


def test_recipes_have_at_most_three_lines():
    """What is longer, or has a branch, is a script."""
    recipes = re.findall(
        r"^\w+:.*\n((?:\t.*\n)*)", (ROOT / "Makefile").read_text(), re.M
    )
    assert recipes
    assert max(recipe.count("\n") for recipe in recipes) <= 3


@pytest.mark.parametrize("target", [*UP_TARGETS, "reset", "clean", "doctor"])
def test_a_wrong_engine_is_refused_by_every_target(clone, target):
    """One line, before anything is done."""
    assert make(clone, target, ENGINE="podman") == (
        2,
        ["ENGINE=podman is neither docker nor local. Leave it out to have it chosen."],
    )


@pytest.mark.parametrize("target", ["url", "status", "shell", "walkthrough"])
def test_what_needs_a_running_tutorial_says_how_to_start_it(clone, target):
    """Where none runs there is nothing to act on."""
    nowhere = {"DOCKER_HOST": "unix:///nowhere"}
    line = "The tutorial is not running. Start it: make up"
    assert make(clone, target, **nowhere) == (2, [line])
    line = (
        "The tutorial is not running with ENGINE=local. Start it: ENGINE=local make up"
    )
    assert make(clone, target, ENGINE="local", **nowhere) == (2, [line])


def test_stopping_what_does_not_run_is_harmless(clone):
    """`make down` in doubt is what people do."""
    line = "The tutorial is not running: nothing to stop."
    assert make(clone, "down", DOCKER_HOST="unix:///nowhere") == (0, [line])


def test_without_docker_the_start_says_that_it_takes_this_machine(clone):
    """The wrong port ends it before anything is installed."""
    code, lines = make(clone, "up", DOCKER_HOST="unix:///nowhere", PORT="abc")
    assert code == 2
    assert lines == [
        "No Docker engine with Compose v2 answers: starting on this machine instead.",
        "PORT=abc is no port. Take a number from 1024 to 65535: PORT=8889 make up",
        "Nothing was started. (make doctor looks again)",
    ]
    assert not (clone / ".tutorial").exists()


def test_two_that_run_need_to_be_told_apart(clone, fake_docker):
    """With a container and an embedded tutorial up, ENGINE has to say which."""
    fake_docker('case "$*" in *" ps "*) echo 0123abc ;; esac')
    (clone / ".tutorial" / "venv").mkdir(parents=True)
    (clone / "scripts" / "embedded").write_text("import sys; sys.exit(0)")
    assert make(clone, "url") == (
        2,
        [
            "Two are running, in Docker and on this machine: "
            "say ENGINE=docker or ENGINE=local."
        ],
    )


def test_cleaning_without_a_terminal_needs_force(clone):
    """It removes what cannot be made again."""
    code, (line,) = make(clone, "clean", DOCKER_HOST="unix:///nowhere")
    assert code == 2
    assert line.endswith("If that is meant: FORCE=1 make clean")


def test_a_healthy_machine_gets_one_line():
    """The tests run on one."""
    assert doctor("local") == (0, ["ok: this machine can run the tutorial (local)."])


@pytest.mark.parametrize(
    "port", ["abc", "80", "70000", "-1", "8888 ", "\uff11\uff12\uff13\uff14"]
)
def test_a_wrong_port_is_told(port):
    """Text, a port of the system's, one that does not exist, other digits."""
    assert doctor("local", PORT=port) == (
        1,
        [
            f"PORT={port} is no port. "
            "Take a number from 1024 to 65535: PORT=8889 make up"
        ],
    )


def test_a_port_in_use_is_told_with_one_that_is_free():
    """Whose it is does not matter; which one to take does."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, (line,) = doctor("local", PORT=str(port))
    assert code == 1
    assert line.startswith(
        f"Port {port} is in use by another program. Take another one"
    )
    assert re.search(r"PORT=\d+ make up$", line)


def test_an_old_python_gets_a_sentence_and_no_syntax_error():
    """The doctor itself can be read by Python 3.6."""
    ast.parse(DOCTOR.read_text(), feature_version=(3, 6))
    code, (line,) = doctor("local", "import sys; sys.version_info = (3, 8, 10)")
    assert code == 1
    assert "is Python 3.8, and 3.10 is the oldest" in line
    assert line.endswith("PYTHON=python3.12 make up")


def test_a_python_without_venv_is_told_with_the_package_to_install():
    """Debian splits venv off."""
    code, (line,) = doctor("local", "import sys; sys.modules['ensurepip'] = None")
    assert (code, "sudo apt install python3-venv" in line) == (1, True)


@pytest.mark.parametrize(
    ("constant", "words"),
    [("DISK", "of disk are free in"), ("MEMORY", "of memory are there")],
)
def test_too_little_of_something_is_told_with_both_numbers(
    monkeypatch, constant, words
):
    """The thresholds are raised above what any machine has."""
    specification = importlib.util.spec_from_file_location("doctor", DOCTOR)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    huge = 10**18
    value = {"local": huge, "docker": huge} if constant == "DISK" else huge
    monkeypatch.setattr(module, constant, value)
    monkeypatch.setattr(module, "ROOT", "/tmp")
    monkeypatch.setenv("PORT", str(free_port()))
    (line,) = module.look("local")
    assert words in line
    assert re.search(r"Only \d+\.\d GB .* 1000000000\.0 GB are needed", line)


def test_a_machine_without_ps_is_told():
    """AiiDA asks ps for its running jobs."""
    assert doctor("local", PATH="/nowhere") == (
        1,
        ["There is no ps command. On Debian and Ubuntu: sudo apt install procps"],
    )


def test_a_machine_without_docker_is_told():
    """No engine to ask, so nothing else is looked at."""
    code, (line,) = doctor("docker", PATH="/nowhere")
    assert (code, line[:27]) == (1, "There is no docker command.")


@pytest.mark.parametrize(
    ("docker", "words"),
    [
        (
            "case $1 in info) echo Cannot connect; exit 1;; esac; echo 2.26",
            "not answer",
        ),
        (
            "case $1 in info) echo Permission denied; exit 1;; esac; echo 2",
            "may not use",
        ),
        ("case $1 in compose) exit 1;; esac; echo 27.0", "has no Compose v2"),
    ],
)
def test_a_docker_that_cannot_be_used_is_told(fake_docker, docker, words):
    """Each line ends in what works all the same."""
    fake_docker(docker)
    code, (line,) = doctor("docker")
    assert code == 1
    assert words in line
    assert line.endswith("ENGINE=local make up")


def test_what_docker_does_not_need_is_not_asked_of_this_machine(fake_docker):
    """A Docker user's Python may be old."""
    fake_docker("case $1 in info) echo 99000000000;; esac; echo 2.26")
    code, lines = doctor("docker", "import sys; sys.version_info = (3, 8, 10)")
    assert (code, lines) == (0, ["ok: this machine can run the tutorial (docker)."])


def test_an_interrupted_install_is_made_anew(tmp_path):
    """Only a whole environment is taken for one, and a whole one is left alone."""
    lock, venv = tmp_path / "small.lock", tmp_path / "venv"
    text = (ROOT / "requirements.lock").read_text()
    lock.write_text(re.search(r"^setuptools==(?:.*\\\n)*.*\n", text, re.M)[0])
    script = ROOT / "scripts" / "install-locked.py"

    def install(*options, python=sys.executable):
        return subprocess.run(
            [python, script, venv, lock, *options],
            capture_output=True,
            text=True,
        )

    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").write_text("half a Python")
    assert install("--is-done").returncode == 1
    first = install()
    assert (first.returncode, first.stderr) == (0, "")
    assert install("--is-done").returncode == 0
    assert install().stdout == ""
    lock.write_text(lock.read_text() + "# newer\n")
    anew = install(python=venv / "bin" / "python")  # as where it is active
    assert (anew.returncode, anew.stderr) == (0, "")
    lock.write_text(lock.read_text().replace("sha256:", "sha256:0", 1))
    assert install("--is-done").returncode == 1


def test_an_install_that_fails_says_why_and_where_to_look(tmp_path):
    """The wrong hash is what a tampered package looks like."""
    lock, venv = tmp_path / "small.lock", tmp_path / "venv"
    text = (ROOT / "requirements.lock").read_text()
    block = re.search(r"^setuptools==(?:.*\\\n)*.*\n", text, re.M)[0]
    lock.write_text(re.sub(r"sha256:\w+", "sha256:" + "0" * 64, block))
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "install-locked.py", venv, lock],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    reason, where = done.stderr.splitlines()
    assert "A package is not the one that was locked." in reason
    assert where == f"All that pip said is in {venv / 'install.log'}"


def test_the_locks_name_no_address():
    """A mirror's address would be asked on every other machine."""
    for lock in ROOT.glob("requirements*.lock"):
        assert "://" not in lock.read_text()
