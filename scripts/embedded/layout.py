"""Where the embedded tutorial lies on this machine, and the environment it runs in."""

import hashlib
import os
import re
import secrets
import shlex
import stat
import sys
from pathlib import Path

REAL_ROOT = Path(__file__).resolve().parents[2]

# What a person's own shell may hold and the tutorial must not see: another AiiDA
# configuration, another Python, another JupyterLab, and make's own variables.
NOT_FOR_THE_TUTORIAL = re.compile(
    r"AIIDA|PYTHON|JUPYTER|IPYTHON|VIRTUAL_ENV|CONDA|_VERDI|_CE_|MAKE|MFLAGS"
    r"|(ENGINE|PORT|FORCE|MPLCONFIGDIR)$"
)

# AiiDA puts sockets below TMPDIR, and the path of a socket ends at 104 characters.
LONGEST_TMPDIR = 50


class Refused(Exception):
    """Something that cannot be done; the message says what to do now."""


def short_link() -> Path:
    """Return a link to this clone, at a place that only this user can write.

    The name is the same each time, since the environment's programs begin with it.
    """
    folder = Path("/tmp") / f"aiida-hitl-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if (
        not stat.S_ISDIR(found.st_mode)
        or found.st_uid != os.getuid()
        or found.st_mode & 0o022
    ):
        raise Refused(f"{folder} is not yours alone. Remove it, or ask who made it.")
    link = folder / hashlib.sha256(os.fsencode(REAL_ROOT)).hexdigest()[:12]
    if not link.is_symlink() or os.readlink(link) != str(REAL_ROOT):
        new = link.with_suffix(".new")
        new.unlink(missing_ok=True)
        new.symlink_to(REAL_ROOT)
        new.replace(link)
    return link


def plain_root() -> Path:
    """Return this clone's folder by a name that is one plain ASCII word.

    aiida-core 2.9 joins the command line of its workers without quotes, so a daemon
    whose path has a space never starts; and ps garbles what is not ASCII.
    """
    if re.fullmatch(r"[A-Za-z0-9_./+@-]+", str(REAL_ROOT)):
        return REAL_ROOT
    return short_link()


try:
    ROOT = plain_root()
except (Refused, OSError) as error:  # before there is a command that could say so
    sys.exit(str(error))
FOLDER = ROOT / ".tutorial"
VENV = FOLDER / "venv"
AIIDA = FOLDER / "aiida" / ".aiida"
HOME = FOLDER / "home"
MY_WORKFLOWS = HOME / "my_workflows"
JUPYTER = FOLDER / "jupyter"
LOGS = FOLDER / "log"
TOKEN = FOLDER / "token"
BASHRC = FOLDER / "bashrc"
PLACE = FOLDER / "place"
PORT = FOLDER / "port"
# The scripts that a reader calls by their names.
FOR_READERS = ("auto-guess.py", "walkthrough.py")


def own_variables() -> dict[str, str]:
    """Return the variables that make a process part of the tutorial."""
    variables = {
        "AIIDA_PATH": AIIDA.parent,
        "IPYTHONDIR": FOLDER / "ipython",
        "JUPYTER_CONFIG_DIR": JUPYTER / "config",
        "JUPYTER_CONFIG_PATH": ROOT / "jupyter",
        "JUPYTER_DATA_DIR": JUPYTER / "data",
        "JUPYTER_RUNTIME_DIR": JUPYTER / "runtime",
        "MPLCONFIGDIR": FOLDER / "matplotlib",
    }
    if len(os.environ.get("TMPDIR", "")) > LONGEST_TMPDIR:
        variables["TMPDIR"] = Path("/tmp")
    return {name: str(value) for name, value in variables.items()}


def environment() -> dict[str, str]:
    """Return the environment of everything that the tutorial runs."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not NOT_FOR_THE_TUTORIAL.match(name)
    }
    path = f"{VENV / 'bin'}:{os.environ.get('PATH', os.defpath)}"
    return {**kept, **own_variables(), "PATH": path}


def lay_out() -> None:
    """Make the folders and the small files; keep those that are there."""
    if PLACE.exists() and PLACE.read_text() != str(REAL_ROOT):
        raise Refused(
            f"{REAL_ROOT / '.tutorial'} was made when this folder was "
            f"{PLACE.read_text()}, and does not work elsewhere. Move the folder back, "
            "or begin anew with `make clean` (your notebooks there are removed too)."
        )
    # verdi warns of each configuration folder that it has to make itself.
    for folder in (AIIDA, HOME / "tutorial", MY_WORKFLOWS, LOGS, JUPYTER / "runtime"):
        folder.mkdir(parents=True, exist_ok=True)
    FOLDER.chmod(0o700)
    PLACE.write_text(str(REAL_ROOT))
    if not TOKEN.exists() or not TOKEN.read_text().strip():
        TOKEN.unlink(missing_ok=True)
        with open(
            os.open(TOKEN, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w"
        ) as f:
            f.write(secrets.token_hex(24))
    BASHRC.write_text(bashrc())
    # Jupytext would otherwise go on to the person's own settings for all notebooks.
    (HOME / "jupytext.toml").write_text(
        "# The tutorial's pages are text notebooks that stand for themselves.\n"
        "outdated_text_notebook_margin = inf\n"
    )


def import_from_my_workflows() -> None:
    """Have each Python of the tutorial find what the reader writes there, and last.

    Not with PYTHONPATH, which comes first: a reader's `random.py` would be everybody's.
    """
    for packages in VENV.glob("lib/python3*/site-packages"):
        (packages / "my_workflows.pth").write_text(f"{MY_WORKFLOWS}\n")


def put_scripts_on_the_path() -> None:
    """Have `auto-guess.py PK` work wherever a terminal opens.

    Not with all of `scripts`, in which a `test` would stand before the system's.
    """
    for name in FOR_READERS:
        link = VENV / "bin" / name
        link.unlink(missing_ok=True)
        link.symlink_to(ROOT / "scripts" / name)


def bashrc() -> str:
    """Return what a terminal of the tutorial reads: after the person's own settings.

    Those may set another AiiDA or another Python, so ours come last.
    """
    lines = [
        "# What a terminal of the tutorial reads. Made by `make up`.",
        "if [ -f ~/.bashrc ]; then . ~/.bashrc; fi",
        "unset AIIDA_PROFILE PYTHONPATH PYTHONHOME VIRTUAL_ENV",
        *(f"export {n}={shlex.quote(v)}" for n, v in own_variables().items()),
        f'export PATH={shlex.quote(str(VENV / "bin"))}:"$PATH"',
        "hash -r",
        'PS1="(tutorial) ${PS1-\\$ }"',
    ]
    return "\n".join(lines) + "\n"
