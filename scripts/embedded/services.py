"""What the embedded tutorial runs: an AiiDA profile with its daemon, and JupyterLab."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from layout import (
    AIIDA,
    BASHRC,
    FOLDER,
    HOME,
    JUPYTER,
    LOGS,
    ROOT,
    TOKEN,
    VENV,
    Refused,
    environment,
)
from processes import DAEMON_ROLES, end, of, running, wait_until

PROFILE = "tutorial"
PROFILE_IS_WHOLE = AIIDA / "profile-is-whole"
SECONDS_TO_START = 60
LARGEST_LOG = 5_000_000  # bytes; then it is moved aside, once


def log_file(name: str) -> Path:
    """Return the log of this name, begun anew when it has become large."""
    log = LOGS / f"{name}.log"
    if log.exists() and log.stat().st_size > LARGEST_LOG:
        log.replace(log.with_suffix(".log.1"))
    return log


def last_lines(log: Path, count: int = 8) -> str:
    """Return the end of a log, indented, with its path."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(errors="replace"))
    lines = text.strip().splitlines()[-count:]
    return "\n".join([*(f"  {line}" for line in lines), f"All of it is in {log}"])


def verdi(*arguments: str, timeout: float = 120) -> None:
    """Run verdi into its log; where it fails, show the end of that."""
    log = log_file("verdi")
    with log.open("a") as file:
        try:
            subprocess.run(
                [VENV / "bin" / "verdi", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=environment(),
                cwd=ROOT,
                check=True,
                timeout=timeout,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            raise Refused(
                f"`verdi {' '.join(arguments)}` failed:\n{last_lines(log)}"
            ) from None


# --- the profile ---


def make_profile() -> None:
    """Make the profile where there is none, and assert that it is what is meant."""
    if not PROFILE_IS_WHOLE.exists():
        # An earlier try that was interrupted: nobody has worked in it yet.
        end(*DAEMON_ROLES)
        shutil.rmtree(AIIDA, ignore_errors=True)
        AIIDA.mkdir(parents=True)
        verdi("presto", "--use-zeromq", "--profile-name", PROFILE, "--non-interactive")
        # Longer than the 30 s after which it kills a worker that does not end.
        verdi("-p", PROFILE, "config", "set", "daemon.timeout", "45")
        PROFILE_IS_WHOLE.touch()
    made = json.loads((AIIDA / "config.json").read_text())["profiles"].get(PROFILE, {})
    kinds = [
        made.get(part, {}).get("backend") for part in ("storage", "process_control")
    ]
    if kinds != ["core.sqlite_dos", "core.zeromq"]:
        raise Refused(
            f"The profile {PROFILE} in {AIIDA} is not the tutorial's ({kinds}). "
            "`make clean` removes it with all its data; then `make up` makes it anew."
        )


# --- the daemon ---


def daemon_is_well() -> bool:
    """Return whether the daemon, its broker and a worker that hears it are running."""
    found = of(*DAEMON_ROLES)
    ages = {
        role: max((p.age for p in found if p.role == role), default=None)
        for role in ("daemon", "broker", "worker")
    }
    if None in ages.values():
        return False
    # A worker goes on listening to a broker that was killed, and not to its successor.
    return ages["worker"] <= ages["broker"] + 2


def broker_answers() -> bool:
    """Return whether the broker has said where its sockets are."""
    return any(
        (Path(file.read_text().strip()) / "router.sock").exists()
        for file in AIIDA.glob("broker/*/broker.sockets")
    )


def socket_folders() -> list[Path]:
    """Return the folders below TMPDIR in which the daemon's sockets lie."""
    files = (*AIIDA.glob("daemon/*.sockets"), *AIIDA.glob("broker/*/broker.sockets"))
    folders = [Path(file.read_text().strip()) for file in files]
    return [folder for folder in folders if any(folder.glob("*.sock"))]


def sweep_daemon() -> None:
    """End what is left of the daemon, and remove the files that it left.

    After a SIGKILL its broker and workers go on without it.
    """
    end(*DAEMON_ROLES)
    for folder in socket_folders():
        shutil.rmtree(folder, ignore_errors=True)
    for pattern in ("daemon/*.pid", "daemon/*.sockets", "broker/*/broker.[ps]*"):
        for file in AIIDA.glob(pattern):
            file.unlink()


def start_daemon() -> None:
    """Start the daemon and wait for its broker and worker."""
    sweep_daemon()
    verdi("-p", PROFILE, "daemon", "start")
    if not wait_until(lambda: daemon_is_well() and broker_answers(), SECONDS_TO_START):
        log = AIIDA / "daemon" / "log" / f"aiida-{PROFILE}.log"
        raise Refused(f"The daemon did not start:\n{last_lines(log)}")


def stop_daemon() -> None:
    """Stop the daemon as verdi does it, and whatever does not follow."""
    folders = socket_folders()  # verdi forgets where they are, and leaves them
    if of("daemon"):
        with contextlib.suppress(Refused):
            verdi("-p", PROFILE, "daemon", "stop", timeout=30)
    sweep_daemon()
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


# --- JupyterLab ---


def jupyterlab() -> tuple[int, str] | None:
    """Return the port and the address of the running JupyterLab, if it answers."""
    for process in of("JupyterLab"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            file = JUPYTER / "runtime" / f"jpserver-{process.pid}.json"
            port = int(json.loads(file.read_text())["port"])
            if answers(port):
                return port, f"http://127.0.0.1:{port}/?token={TOKEN.read_text()}"
    return None


def answers(port: int) -> bool:
    """Return whether a JupyterLab that takes our token listens on this port."""
    address = f"http://127.0.0.1:{port}/api/status"
    request = urllib.request.Request(
        address, headers={"Authorization": f"token {TOKEN.read_text()}"}
    )
    # A proxy that the environment names is none of this machine's own address.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5):
            return True
    except (OSError, urllib.error.URLError):
        return False


def begin_jupyterlab(port: int) -> subprocess.Popen[bytes]:
    """Start JupyterLab in the background, with nothing of this terminal."""
    end("JupyterLab")
    end("kernel")
    for file in (JUPYTER / "runtime").glob("jpserver-*"):
        file.unlink()
    command = [
        str(VENV / "bin" / "jupyter-lab"),
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        f"--ServerApp.root_dir={HOME}",
        f"--ServerApp.terminado_settings=shell_command=bash --rcfile {BASHRC} -i",
    ]
    if os.getuid() == 0:
        command.append("--ServerApp.allow_root=True")
    with log_file("jupyterlab").open("a") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**environment(), "JUPYTER_TOKEN_FILE": str(TOKEN)},
            cwd=HOME,
            start_new_session=True,
        )


def wait_for_jupyterlab(server: subprocess.Popen[bytes], port: int) -> None:
    """Wait until it answers; where it ends instead, say why."""
    wait_until(lambda: server.poll() is not None or jupyterlab(), SECONDS_TO_START)
    if jupyterlab():
        return
    text = last_lines(log_file("jupyterlab"))
    if "is already in use" in text:
        raise Refused(
            f"Port {port} is in use by another program. Take another one: "
            f"PORT={port + 1} make up"
        )
    raise Refused(f"JupyterLab did not start:\n{text}")


# --- the whole ---


def start(port: int) -> None:
    """Start what is not running, both at once, and wait for it."""
    server = None if jupyterlab() else begin_jupyterlab(port)
    if not daemon_is_well():
        start_daemon()
    if server:
        wait_for_jupyterlab(server, port)


def stop() -> None:
    """Stop everything and leave no process."""
    if FOLDER.exists() and running():
        stop_daemon()
        end("JupyterLab")
        end("kernel")
