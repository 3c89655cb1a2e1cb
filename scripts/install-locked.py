#!/usr/bin/env python3
"""Make a virtual environment from a lock file, with this project in it, editable.

Usage: install-locked.py VENV LOCK [--is-done]

Nothing is done where VENV was made whole from the same LOCK and pyproject.toml. An
install that was interrupted, or whose Python is gone, is made anew. With --is-done only
the exit code tells whether there is nothing to do.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# What a person set for their own pip would go against an environment of locked hashes.
NOT_FOR_PIP = re.compile(
    r"PIP_(USER|TARGET|PREFIX|CONSTRAINT|REQUIREMENT|ROOT)$|PYTHON"
)

# What pip says when it fails, and what a person can do then.
REMEDIES = [
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError",
        "A proxy on the way shows its own certificate. Give make your institute's CA "
        "bundle: EXTRA_CA_CERTIFICATES=/path/to/bundle.pem make ...",
    ),
    (r"No space left on device", "The disk is full. Free some space and try again."),
    (
        r"THESE PACKAGES DO NOT MATCH THE HASHES",
        "A package is not the one that was locked. Try again; if it stays, your "
        "package index serves other files than PyPI.",
    ),
    (
        r"Name or service not known|Temporary failure in name resolution"
        r"|nodename nor servname|NewConnectionError|ConnectTimeout|Read timed out"
        r"|Network is unreachable|ProxyError",
        "The package index does not answer. Check the network (or the proxy) and try "
        "again; what was downloaded is kept.",
    ),
    (
        r"No matching distribution|Requires-Python",
        "A package has no version for this Python (or your package index lacks it). "
        "Python 3.10 to 3.13 are known to work: PYTHON=python3.12 make ...",
    ),
]


class InstallError(Exception):
    """The environment could not be made; the message says what to do."""


def fingerprint(venv: Path, lock: Path) -> dict[str, str]:
    """Return what an environment was made from, as it stands in its stamp."""
    files = {"lock": lock, "project": ROOT / "pyproject.toml"}
    made_from = {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in files.items()
    }
    return {**made_from, "venv": str(venv)}


def stamp_of(venv: Path) -> dict[str, str]:
    """Return what this environment was made from; nothing if it is not whole."""
    try:
        stamp = json.loads((venv / "installed.json").read_text())
        subprocess.run([venv / "bin" / "python", "-c", ""], check=True)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return {}
    return stamp


def pip_environment() -> dict[str, str]:
    """Return pip's environment: the person's index and proxy, not their places."""
    kept = {
        key: value for key, value in os.environ.items() if not NOT_FOR_PIP.match(key)
    }
    kept["PIP_USER"] = "0"
    bundle = os.environ.get("EXTRA_CA_CERTIFICATES")
    if bundle:
        if not Path(bundle).is_file():
            raise InstallError(
                f"EXTRA_CA_CERTIFICATES names {bundle}, and there is no such file."
            )
        kept["PIP_CERT"] = str(Path(bundle).absolute())
    return kept


def run(command: list[str | Path], log: Path) -> None:
    """Run a command into the log; where it fails, say why and what to do."""
    with log.open("a") as file:
        done = subprocess.run(
            command, stdout=file, stderr=file, env=pip_environment(), cwd=ROOT
        )
    if done.returncode == 0:
        return
    text = log.read_text(errors="replace")
    remedy = next((line for sign, line in REMEDIES if re.search(sign, text)), None)
    last = "\n".join(f"  {line}" for line in text.strip().splitlines()[-5:])
    raise InstallError(remedy or f"These are the last lines:\n{last}")


def python() -> str:
    """Return the Python to install with, which is never the environment's own.

    Where the environment is active, that would be deleted on the way.
    """
    version = "python{}.{}".format(*sys.version_info)
    base = Path(sys.base_prefix, "bin", version)
    return str(base) if base.exists() else sys.executable


def install(venv: Path, lock: Path) -> None:
    """Make the environment from the lock, or bring an older one up to date."""
    wanted, stamp = fingerprint(venv, lock), stamp_of(venv)
    if stamp == wanted:
        return
    pip: list[str | Path] = [venv / "bin" / "python", "-m", "pip", "install"]
    pip += ["--no-input", "--progress-bar=off", "--disable-pip-version-check"]
    log = venv / "install.log"
    if {**stamp, "project": ""} != {**wanted, "project": ""}:
        place = os.path.relpath(os.path.realpath(venv), ROOT)
        print(f"Installing into {place}; this takes about a minute.", flush=True)
        if venv.exists():
            shutil.rmtree(venv)
        venv.mkdir(parents=True)
        run([python(), "-m", "venv", venv], log)
        run([*pip, "--require-hashes", "--requirement", lock], log)
    (venv / "installed.json").unlink(missing_ok=True)
    run([*pip, "--no-deps", "--no-build-isolation", "--editable", ROOT], log)
    (venv / "installed.json").write_text(json.dumps(wanted))


def main() -> int:
    """Install, or say in a line or two why not."""
    *places, last = sys.argv[1:] or [""]
    places += [] if last == "--is-done" else [last]
    if len(places) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    venv, lock = (Path(place).absolute() for place in places)
    if last == "--is-done":
        return 0 if stamp_of(venv) == fingerprint(venv, lock) else 1
    try:
        install(venv, lock)
    except (InstallError, OSError) as error:
        print(f"The installation into {venv} failed. {error}", file=sys.stderr)
        print(f"All that pip said is in {venv / 'install.log'}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; the next try begins this step anew.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
