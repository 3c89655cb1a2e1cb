"""The tutorial without Docker: everything under .tutorial/ of this clone.

Usage: embedded COMMAND

  up        install, make the profile, start the daemon and JupyterLab
  down      stop them
  is-up     exit with 0 if any of them is running
  profile   make the profile and show it
  url       the address of JupyterLab, with its token
  status    what is running
  logs      the ends of the logs
  shell     a shell in which verdi and python are the tutorial's
  run COMMAND ...   run a command as that shell would
  reset     fresh pages; the reader's versions are kept as copies
  clean     stop, and remove .tutorial/ with all that is in it
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator

import layout
import services
from layout import FOLDER, REAL_ROOT, ROOT, VENV, Refused, environment
from processes import of, running

NOT_UP = "The tutorial is not running on this machine. Start it: ENGINE=local make up"


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait until no other `make up`, `make down`, ... works on this clone."""
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another make that works on .tutorial ...", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def port() -> int:
    """Return the port that was asked for."""
    text = os.environ.get("PORT") or "8888"
    if not text.isdecimal() or not 1024 <= int(text) <= 65535:
        raise Refused(f"PORT={text} is no port from 1024 to 65535: PORT=8889 make up")
    return int(text)


def prepare() -> None:
    """Install what is not installed, and make the profile where there is none."""
    layout.lay_out()
    stamp = VENV / "installed.json"
    before = stamp.read_text() if stamp.exists() else None
    install = [sys.executable, ROOT / "scripts" / "install-locked.py"]
    install += [VENV, ROOT / "requirements.lock"]
    if subprocess.run([*install, "--is-done"]).returncode != 0:
        services.stop()  # it would go on with what is replaced below it
        installed = subprocess.run(install)
        if installed.returncode != 0:
            raise SystemExit(installed.returncode)
    layout.import_from_my_workflows()
    layout.put_scripts_on_the_path()
    services.make_profile()
    if before and before != stamp.read_text():
        services.verdi("-p", services.PROFILE, "storage", "migrate", "--force")


def deliver(*options: str) -> None:
    """Bring the pages to the reader's folder."""
    script = ROOT / "scripts" / "deliver-tutorial.py"
    if (ROOT / "tutorial").is_dir():
        command = [sys.executable, script, ROOT / "tutorial", layout.HOME / "tutorial"]
        subprocess.run([*command, *options], check=True)


def up() -> None:
    """Start the tutorial, or what of it is not running."""
    wanted = port()
    with alone():
        prepare()
        deliver()
        services.start(wanted)
    found = services.jupyterlab()
    if found:
        layout.PORT.write_text(str(found[0]))  # the next start takes it, too
    if found and found[0] != wanted:
        print(
            f"It is running on port {found[0]} already; `make down` first to move it."
        )
    print("The tutorial is running on this machine (SQLite and ZeroMQ). Open:")
    url()


def down() -> None:
    """Stop the tutorial."""
    if not running():
        print("The tutorial is not running on this machine: nothing to stop.")
        return
    with alone():
        services.stop()
    print("The tutorial is stopped; its data is kept. `make up` goes on from here.")


def is_up() -> None:
    """Exit with 0 if anything of the tutorial is running."""
    sys.exit(0 if running() else 1)


def profile() -> None:
    """Make the profile and show it."""
    with alone():
        prepare()
    run("verdi", "-p", services.PROFILE, "status")


def url() -> None:
    """Print the address of JupyterLab, with its token."""
    found = services.jupyterlab()
    if not found:
        raise Refused(NOT_UP)
    print(found[1])


def status() -> None:
    """Print what is running; exit with 3 unless all of it is."""
    found = services.jupyterlab()
    pids = {
        role: ", ".join(str(process.pid) for process in of(role))
        for role in ("JupyterLab", "daemon", "worker", "broker")
    }
    print(f"engine      local: SQLite and ZeroMQ, in {REAL_ROOT / '.tutorial'}")
    for role, pid in pids.items():
        print(f"{role:<11} {f'running (PID {pid})' if pid else 'not running'}")
    if found:
        print(f"address     {found[1]}")
    well = services.daemon_is_well()
    if all(pids.values()) and not (found and well):
        print("Something of it does not answer. `make up` mends it.")
    elif not all(pids.values()):
        print("Not all of it is running. `make up` starts what is missing.")
    if not (found and well):
        sys.exit(3)


def logs() -> None:
    """Print the ends of the logs, each with its path."""
    logs = [*layout.LOGS.glob("*.log"), *layout.AIIDA.glob("**/*.log")]
    found = sorted(log for log in logs if log.stat().st_size)
    if not found:
        raise Refused("There are no logs yet. Start the tutorial: ENGINE=local make up")
    for log in found:
        print(f"--- {log}")
        print(services.last_lines(log, 20).rpartition("\n")[0])


def shell() -> None:
    """Become a shell of the tutorial."""
    if not (VENV / "installed.json").exists():
        raise Refused(NOT_UP)
    options = ["--rcfile", str(layout.BASHRC), "-i"] if sys.stdin.isatty() else []
    os.chdir(ROOT)
    os.execvpe("bash", ["bash", *options], environment())


def run(*command: str) -> None:
    """Become a command of the tutorial."""
    if not (VENV / "installed.json").exists():
        raise Refused(NOT_UP)
    os.chdir(ROOT)
    sys.stdout.flush()
    variables = environment()
    program = shutil.which(command[0], path=variables["PATH"]) or command[0]
    os.execve(program, command, variables)


def reset() -> None:
    """Bring fresh pages; the reader's versions are kept as copies."""
    with alone():
        layout.lay_out()
        deliver("--reset")
    print(f"The pages in {layout.HOME / 'tutorial'} are fresh.")


def clean() -> None:
    """Stop, and remove everything that the tutorial laid out here."""
    if FOLDER.exists():
        with alone():
            services.stop()
            shutil.rmtree(FOLDER)
    if ROOT != REAL_ROOT:
        ROOT.unlink()
        with contextlib.suppress(OSError):  # other clones have theirs there
            ROOT.parent.rmdir()


COMMANDS = {
    "up": up,
    "down": down,
    "is-up": is_up,
    "profile": profile,
    "url": url,
    "status": status,
    "logs": logs,
    "shell": shell,
    "run": run,
    "reset": reset,
    "clean": clean,
}


def main() -> int:
    """Do what the first argument says."""
    command, *arguments = sys.argv[1:] or [""]
    if command not in COMMANDS or (bool(arguments) != (command == "run")):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        COMMANDS[command](*arguments)
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. `make up` goes on from here.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `make logs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        print(
            f"That could not be done: {error}. The tutorial lies in {FOLDER}: this "
            "folder has to be yours to write, on a disk that is not full.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
