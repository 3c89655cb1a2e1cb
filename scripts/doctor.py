#!/usr/bin/env python3
"""Tell what keeps the tutorial from starting on this machine, and what to do about it.

Usage: doctor.py docker|local [--without-port]

What does not matter for the engine is not looked at. The syntax is that of Python 3.6:
for Docker, this machine's own Python may be old.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

GIGABYTE = 10**9
# Measured: .tutorial is 0.41 GB, and pip may keep as much again in its cache; the image
# is 0.76 GB, and the layers of one build take three times that.
DISK = {"local": 1.5 * GIGABYTE, "docker": 4 * GIGABYTE}
# What a tutorial writes whose image or environment is there already.
DISK_TO_RUN = GIGABYTE // 5
# Measured: a seat with one open notebook takes 0.45 GB; its calculations come on top.
MEMORY = 1 * GIGABYTE


def port_number():
    """Return the port asked for, or None if what was asked for is none."""
    text = os.environ.get("PORT") or "8888"
    if re.match(r"[0-9]{1,5}$", text) and 1024 <= int(text) <= 65535:
        return int(text)
    return None


def output(*command):
    """Return the exit code of a command and all that it said."""
    try:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT
        )
    except OSError as error:
        return 127, str(error)
    said = process.communicate()[0]
    return process.returncode, said.decode("utf-8", "replace")


def is_ours(port, engine):
    """Return whether it is this clone's own tutorial that listens on the port."""
    if engine == "docker":
        code, said = output("docker", "compose", "port", "tutorial", "8888")
        return code == 0 and said.strip().endswith(f":{port}")
    runtime = os.path.join(ROOT, ".tutorial", "jupyter", "runtime")
    try:
        names = os.listdir(runtime)
    except OSError:
        return False
    for name in names:
        match = re.match(r"jpserver-([0-9]+)\.json$", name)
        if not match:
            continue
        try:
            with open(os.path.join(runtime, name)) as file:
                there = json.load(file)["port"] == port
            os.kill(int(match.group(1)), 0)
        except (OSError, ValueError, KeyError):
            continue
        if there:
            return True
    return False


def look_at_port(engine):
    """Yield what is wrong with the port."""
    port = port_number()
    if port is None:
        yield (
            "PORT={} is no port. Take a number from 1024 to 65535: "
            "PORT=8889 make up".format(os.environ["PORT"])
        )
        return
    attempt = socket.socket()
    try:
        # As servers do: a port that was in use until now is free.
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        attempt.bind(("127.0.0.1", port))
    except OSError:
        if not is_ours(port, engine):
            yield (
                f"Port {port} is in use by another program. Take another one: "
                f"PORT={free_port(port)} make up"
            )
    finally:
        attempt.close()


def free_port(port):
    """Return the next port that nothing listens on."""
    for candidate in range(port + 1, min(port + 100, 65536)):
        attempt = socket.socket()
        try:
            attempt.bind(("127.0.0.1", candidate))
            return candidate
        except OSError:
            continue
        finally:
            attempt.close()
    return 18888


def disk(engine):
    """Return the folder that fills, or None if unknown, and what will be written there.

    Docker's is not this clone's: on macOS and Windows it is in a machine of its own.
    """
    if engine == "docker":
        image = os.environ.get("TUTORIAL_IMAGE") or "aiida-hitl-tutorial"
        there = output("docker", "image", "inspect", image)[0] == 0
        code, said = output("docker", "info", "--format", "{{.DockerRootDir}}")
        folder = said.strip() if code == 0 and os.path.isdir(said.strip()) else None
    else:
        stamp = os.path.join(ROOT, ".tutorial", "venv", "installed.json")
        there, folder = os.path.exists(stamp), ROOT
    return folder, DISK_TO_RUN if there else DISK[engine]


def look_at_disk(engine):
    """Yield what is wrong with the disk; what is there already needs no room."""
    folder, needed = disk(engine)
    if folder is None:
        return
    free = shutil.disk_usage(folder).free
    if free < needed:
        yield (
            f"Only {free / GIGABYTE:.1f} GB of disk are free in {folder}, and "
            f"{needed / GIGABYTE:.1f} GB are needed. Free some, then `make up` again."
        )


def available_memory():
    """Return the memory in bytes that programs can still take, or None if unknown."""
    try:
        with open("/proc/meminfo") as file:
            match = re.search(r"^MemAvailable:\s+([0-9]+) kB", file.read(), re.M)
        return int(match.group(1)) * 1024
    except (OSError, AttributeError):
        pass
    # macOS takes memory from its caches as needed: only the size of the machine tells.
    code, said = output("sysctl", "-n", "hw.memsize")
    return int(said) if code == 0 and said.strip().isdigit() else None


def docker_memory():
    """Return the memory in bytes of the machine that Docker's containers run on."""
    code, said = output("docker", "info", "--format", "{{.MemTotal}}")
    return int(said) if code == 0 and said.strip().isdigit() else None


def look_at_memory(engine):
    """Yield what is wrong with the memory."""
    memory = docker_memory() if engine == "docker" else available_memory()
    if memory is not None and memory < MEMORY:
        yield "Only {:.1f} GB of memory are there, and {:.1f} GB are needed. {}".format(
            memory / GIGABYTE,
            MEMORY / GIGABYTE,
            "Give Docker more (Docker Desktop: Settings, Resources)."
            if engine == "docker"
            else "Close some programs, then `make up` again.",
        )


def look_at_docker():
    """Yield what is wrong with Docker."""
    if not shutil.which("docker"):
        yield (
            "There is no docker command. Install Docker (docs.docker.com/get-docker), "
            "or start without it: ENGINE=local make up"
        )
        return
    code, said = output("docker", "info", "--format", "{{.ServerVersion}}")
    if code != 0 and "permission denied" in said.lower():
        yield (
            "Docker runs, but you may not use it. Add yourself to its group (sudo "
            "usermod -aG docker $USER) and log in again, or: ENGINE=local make up"
        )
    elif code != 0:
        yield (
            "The Docker engine does not answer. Start it (Docker Desktop, or: sudo "
            "systemctl start docker), or start without it: ENGINE=local make up"
        )
    code, said = output("docker", "compose", "version", "--short")
    if code != 0 or said.strip().lstrip("v").startswith("1."):
        yield (
            "Docker has no Compose v2. Install docker-compose-plugin (Debian's own: "
            "docker-compose), or start without it: ENGINE=local make up"
        )


def look_at_python():
    """Yield what is wrong with this Python, which scripts/find-python has chosen."""
    try:
        import ensurepip
        import venv  # noqa: F401  (only whether it is there)

        ensurepip.version()
    except Exception:  # Debian's python3 without python3-venv has parts of it
        yield (
            "Python's venv module is missing. On Debian and Ubuntu: sudo apt install "
            "python3-venv"
        )


def look_at_ps():
    """Yield what is wrong with ps, which AiiDA asks for its running jobs."""
    if not shutil.which("ps"):
        yield "There is no ps command. On Debian and Ubuntu: sudo apt install procps"


def look(engine, with_port=True):
    """Yield everything that is wrong for this engine, a line each."""
    if engine == "local":
        for line in look_at_python():
            yield line
        for line in look_at_ps():
            yield line
    else:
        docker = list(look_at_docker())
        for line in docker:
            yield line
        if docker:
            return
    for look_at in (look_at_disk, look_at_memory):
        for line in look_at(engine):
            yield line
    if with_port:
        for line in look_at_port(engine):
            yield line


def main():
    """Print a line for each thing that is wrong, or one that all is well."""
    engine, options = sys.argv[1:2], sys.argv[2:]
    if engine not in (["docker"], ["local"]) or options not in ([], ["--without-port"]):
        print(__doc__, file=sys.stderr)
        return 2
    problems = list(look(engine[0], with_port=not options))
    for line in problems:
        print(line, file=sys.stderr)
    if problems:
        return 1
    print(f"ok: this machine can run the tutorial ({engine[0]}).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
