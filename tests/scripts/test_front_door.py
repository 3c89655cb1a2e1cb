"""`make` and its doctor: what they list, what they refuse, and in which words."""

import ast
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.scripts.seat import free_port

ROOT = Path(__file__).parents[2]
DOCTOR = ROOT / "scripts" / "doctor.py"
specification = importlib.util.spec_from_file_location("doctor", DOCTOR)
doctor_module = importlib.util.module_from_spec(specification)
specification.loader.exec_module(doctor_module)
FREE_GIGABYTE = SimpleNamespace(free=10**9)
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


def doctor(engine, prelude="pass", *options, **variables):
    """Run the doctor in a Python that was first brought into some state."""
    argv = ["doctor", engine, *options]
    program = f"{prelude}\nimport sys, runpy; sys.argv = {argv!r}\n"
    program += f"runpy.run_path({str(DOCTOR)!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PORT": str(free_port()), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout.splitlines()


def test_make_alone_lists_every_target_with_a_line(clone):
    """A target without its line, or a file of the same name, would be missed."""
    code, lines = make(clone)
    assert code == 0
    listed = dict(re.findall(r"^  make (\w+) +(\S.*)$", "\n".join(lines), re.M))
    phony = re.search(r"\.PHONY: ((?:.*\\\n)*.*)", (ROOT / "Makefile").read_text())
    assert set(phony[1].replace("\\\n", " ").split()) == listed.keys()
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
    code, lines = make(clone, "clean", DOCKER_HOST="unix:///nowhere", ENGINE="local")
    assert (code, lines) == (
        2,
        [
            "This removes the tutorial with all data and notebooks in it: "
            f"the folder {clone}/.tutorial.",
            "If that is meant: FORCE=1 make clean",
        ],
    )


def test_cleaning_one_engine_leaves_the_other_alone(clone, fake_docker, tmp_path):
    """What is removed is said, and nothing else goes: not even the environment."""
    fake_docker(f'echo "$COMPOSE_PROJECT_NAME $*" >> {tmp_path}/asked')
    kept = clone / ".tutorial" / "log" / "image.log"
    kept.parent.mkdir(parents=True)
    kept.touch()
    (clone / ".venv").mkdir()
    (clone / ".env").write_text("COMPOSE_PROJECT_NAME=mine\nPORT=8889\nTOKEN=abc\n")
    code, lines = make(clone, "clean", ENGINE="docker", FORCE="1")
    asked = (tmp_path / "asked").read_text()
    assert code == 0, lines
    assert lines[-1] == "Removed: the Docker project mine with its volume and image."
    assert "mine compose --progress=plain down --volumes" in asked
    assert (clone / ".env").read_text() == "TOKEN=abc\n"
    assert kept.exists()
    (tmp_path / "asked").unlink()
    code, lines = make(clone, "clean", ENGINE="local", FORCE="1")
    assert (code, lines) == (0, [f"Removed: the folder {clone}/.tutorial."])
    assert not (tmp_path / "asked").exists()
    assert not kept.exists()
    assert (clone / ".venv").exists()


def test_each_clone_has_a_project_and_a_port_of_its_own(clone, fake_docker, tmp_path):
    """Chosen once, kept in .env, for `docker compose` called by hand as well."""
    fake_docker(f"""
case "$*" in
  *" up "*) echo "$COMPOSE_PROJECT_NAME $PORT" >> {tmp_path}/started ;;
  *" port "*) exit 1 ;;
  *MemTotal*) echo 99000000000 ;;
  *) case $1 in ps) ;; *) echo 2.26 ;; esac ;;
esac""")
    port = str(free_port())
    (clone / ".env").write_text("TOKEN=abc")
    for asked in ({"PORT": port}, {}):
        make(clone, "up", ENGINE="docker", **asked)
    first, second = (tmp_path / "started").read_text().splitlines()
    assert first == second
    assert re.fullmatch(rf"aiida-hitl-tutorial-[0-9a-f]{{8}} {port}", first)
    own, note, *ours = (clone / ".env").read_text().splitlines()
    assert (own, note[0]) == ("TOKEN=abc", "#")
    name = first.split()[0]
    assert ours == [
        f"COMPOSE_PROJECT_NAME={name}",
        f"TUTORIAL_IMAGE={name}",
        f"PORT={port}",
    ]
    elsewhere = clone.rename(tmp_path / "elsewhere")
    make(elsewhere, "up", ENGINE="docker")
    assert (tmp_path / "started").read_text().splitlines()[-1] == first


def test_a_start_takes_what_is_up_already(clone, fake_docker):
    """An engine that answers is no reason to start a second one beside the first."""
    fake_docker('case "$*" in *" ps "*) ;; *) echo 2.26 ;; esac')
    (clone / ".tutorial" / "venv").mkdir(parents=True)
    (clone / ".tutorial" / "port").write_text(str(free_port()))
    embedded = clone / "scripts" / "embedded"
    embedded.write_text("""
import os, sys
if sys.argv[1] != "is-up":
    print(sys.argv[1], os.environ["PORT"])
""")
    port = (clone / ".tutorial" / "port").read_text()
    assert make(clone, "up") == (0, [f"up {port}"])


def test_an_image_that_cannot_be_built_anew_is_started_as_it_is(clone, fake_docker):
    """As where the network is down, and nothing of the image has changed for days."""
    fake_docker("""
case "$*" in
  *" build") exit 1 ;;
  *" exec "*) echo abc ;;
  *" port "*) echo 127.0.0.1:1 ;;
  *MemTotal*) echo 99000000000 ;;
  *) case $1 in ps) ;; *) echo 2.26 ;; esac ;;
esac""")
    port = str(free_port())
    code, lines = make(clone, "up", ENGINE="docker", PORT=port)
    log = clone / ".tutorial" / "log" / "image.log"
    assert (code, lines) == (
        0,
        [
            f"The image could not be built anew (log: {log}). "
            "Starting the one that is there.",
            "The tutorial is running in Docker (PostgreSQL and RabbitMQ). Open:",
            "http://127.0.0.1:1/?token=abc",
        ],
    )


def test_docker_needs_no_python_of_this_machine(clone, fake_docker, tmp_path):
    """Make and Docker are enough; what Python would look at, Docker says itself."""
    bare = tmp_path / "bare"
    bare.mkdir()
    for program in ("bash", "sh", "env", "make", "dirname", "awk", "sed", "tail"):
        (bare / program).symlink_to(shutil.which(program))
    fake_docker("echo 2.26")
    path = f"{tmp_path}/programs:{bare}"
    machine = {"PYTHON": "", "PATH": path, "COMPOSE_PROJECT_NAME": "mine"}
    assert make(clone, "doctor", ENGINE="docker", **machine) == (
        0,
        [
            "ok: Docker answers. "
            "Without a python3 the disk, memory and port are not looked at."
        ],
    )
    for target in ("up", "doctor"):
        code, lines = make(clone, target, ENGINE="local", **machine)
        assert code == 2
        assert lines[0] == "There is no python3. Install Python 3.10 or newer."


@pytest.mark.parametrize(
    ("there", "found"),
    [
        ({"python3": "3.12"}, "python3"),
        ({"python3": "3.15", "python3.11": "3.11"}, "python3.11"),
        ({"python3": "3.15"}, "python3"),
        ({"python3": "3.9", "python3.13": "3.13"}, "python3.13"),
        ({"python3": "3.9"}, "python3 is Python 3.9, and 3.10 is the oldest"),
        ({}, "There is no python3."),
        ({"PYTHON": "nonsense", "python3": "3.12"}, "PYTHON=nonsense is no Python"),
        ({"PYTHON": "python3.14", "python3.14": "3.14"}, "python3.14"),
    ],
)
def test_the_python_is_one_that_the_packages_work_with(tmp_path, there, found):
    """The one that was asked for, or no other; a newer one only for want of better."""
    variables = {"PATH": str(tmp_path), "PYTHON": there.pop("PYTHON", "")}
    (tmp_path / "bash").symlink_to(shutil.which("bash"))
    for name, version in there.items():
        (tmp_path / name).write_text(f"#!/bin/sh\necho {version}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [ROOT / "scripts" / "find-python"],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.stdout.startswith(found)
    assert done.stdout.count("\n") == 1
    assert (done.returncode == 0) == (done.stdout.strip() in there)


@pytest.mark.parametrize(("above", "is_ours"), [("", True), ("/elsewhere", False)])
def test_the_processes_of_another_clone_are_not_ours(clone, above, is_ours):
    """Not even where its path ends in this one's: `make down` would end them."""
    shutil.copytree(ROOT / "scripts" / "embedded", clone / "scripts" / "embedded")
    jupyterlab = f"{above}{clone}/.tutorial/venv/bin/jupyter-lab"
    program = ["bash", "-c", "echo up; read -r", jupyterlab]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(program, **pipes) as other:
        assert other.stdout.readline() == b"up\n"
        command = [sys.executable, "scripts/embedded", "is-up"]
        assert (subprocess.run(command, cwd=clone).returncode == 0) is is_ours
        other.communicate(b"\n")


def test_a_folder_that_cannot_be_made_is_told(clone):
    """As in a clone that is read-only."""
    shutil.copytree(ROOT / "scripts" / "embedded", clone / "scripts" / "embedded")
    (clone / ".tutorial").touch()
    code, (line,) = make(clone, "reset", ENGINE="local")
    assert (code, line[:28]) == (2, "The tutorial is not running ")
    code, (line,) = make(clone, "profile", ENGINE="local")
    assert code == 2
    assert line.startswith("That could not be done: [Errno 17] File exists: ")


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
        # `make profile` starts nothing that would listen there.
        assert doctor("local", "pass", "--without-port", PORT=str(port))[0] == 0
    assert code == 1
    assert line.startswith(
        f"Port {port} is in use by another program. Take another one"
    )
    assert re.search(r"PORT=\d+ make up$", line)


def test_a_port_of_the_other_engine_is_in_use(fake_docker):
    """The tutorial in Docker is another program to the one on this machine."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        fake_docker(
            f'case "$*" in *" port "*) echo 127.0.0.1:{port} ;;'
            " *MemTotal*) echo 99000000000 ;; *) echo 2.26 ;; esac"
        )
        assert doctor("docker", PORT=str(port))[0] == 0
        assert doctor("local", PORT=str(port))[0] == 1


def test_docker_needs_less_disk_once_it_has_the_image(fake_docker, monkeypatch):
    """And it is Docker's disk that fills, not this clone's."""
    monkeypatch.setattr(doctor_module.shutil, "disk_usage", lambda _: FREE_GIGABYTE)
    answers = 'case "$*" in "image inspect"*) exit {} ;; *RootDir*) echo {} ;; esac'
    fake_docker(answers.format(0, "/"))
    assert list(doctor_module.look_at_disk("docker")) == []
    fake_docker(answers.format(1, "/"))
    (line,) = doctor_module.look_at_disk("docker")
    assert line.startswith("Only 1.0 GB of disk are free in /, and 4.0 GB are needed.")
    fake_docker(answers.format(1, "/in/a/machine/of/its/own"))
    assert list(doctor_module.look_at_disk("docker")) == []


def test_an_old_python_gets_a_sentence_and_no_syntax_error():
    """The doctor itself can be read by Python 3.6; find-python has the sentence."""
    ast.parse(DOCTOR.read_text(), feature_version=(3, 6))


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
    huge = 10**18
    value = {"local": huge, "docker": huge} if constant == "DISK" else huge
    monkeypatch.setattr(doctor_module, constant, value)
    monkeypatch.setattr(doctor_module, "ROOT", "/tmp")
    monkeypatch.setenv("PORT", str(free_port()))
    (line,) = doctor_module.look("local")
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
