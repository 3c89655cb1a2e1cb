#!/usr/bin/env python3
"""Bring the tutorial's pages to the reader's folder, never over what the reader wrote.

Usage: deliver-tutorial.py SOURCE TARGET [--reset]

A hidden manifest in TARGET remembers what was delivered. A page that the reader has not
changed is updated in place; a changed one stays, and the new version is laid beside it
as NAME.new.md, or, where the reader has changed that one as well, as NAME.new-2.md. A
page that the reader deleted stays deleted. With --reset every page comes back fresh,
and the reader's version is kept as a dated copy.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from datetime import datetime
from pathlib import Path

MANIFEST = ".delivered.json"
UNFINISHED = ".delivering-"
LEFT_OUT = {".ipynb_checkpoints", "__pycache__", ".DS_Store"}


def digest(path: Path) -> str:
    """Return the hash of a file's content; of a page, without its header.

    JupyterLab writes its own version and the kernel's into the header of each page that
    is only opened, which makes the page no work of the reader.
    """
    content = path.read_bytes()
    if path.suffix == ".md":
        content = re.sub(rb"\A---\r?\n.*?^---\r?\n", b"", content, flags=re.S | re.M)
    return hashlib.sha256(content).hexdigest()


def pages(source: Path) -> dict[str, Path]:
    """Return the files to deliver, by their name relative to the source."""
    return {
        path.relative_to(source).as_posix(): path
        for path in sorted(source.rglob("*"))
        if path.is_file() and not LEFT_OUT & set(path.relative_to(source).parts)
    }


def read_manifest(target: Path) -> dict[str, dict[str, str]]:
    """Return what was brought before, as hashes by name; nothing where that is lost.

    "delivered" is what became the reader's page, "offered" what was laid beside it.
    """
    try:
        manifest = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
        return {key: dict(manifest[key]) for key in ("delivered", "offered")}
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return {"delivered": {}, "offered": {}}


def write_manifest(target: Path, manifest: dict[str, dict[str, str]]) -> None:
    """Remember what was brought."""
    text = json.dumps(manifest, indent=1, sort_keys=True)
    replace(target / MANIFEST, text.encode())


def replace(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file so that it is whole, whatever interrupts: the old one or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=UNFINISHED)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def copy(page: Path, path: Path) -> None:
    """Copy a page; the reader may write it, even where the source is read-only."""
    replace(path, page.read_bytes(), page.stat().st_mode & 0o755 | 0o600)


def free_name(path: Path, label: str, known: str | None = None) -> Path:
    """Return a name for a copy beside the path: no work of the reader has it.

    :param known: a file of this hash may be overwritten, because we have brought it.
    """
    copy = path.with_name(f"{path.stem}.{label}{path.suffix}")
    number = 2
    while copy.is_symlink() or copy.exists():
        if known and copy.is_file() and digest(copy) == known:
            break
        copy = path.with_name(f"{path.stem}.{label}-{number}{path.suffix}")
        number += 1
    return copy


def bring(
    page: Path, path: Path, delivered: str | None, offered: str | None, reset: bool
) -> tuple[str, str]:
    """Bring one page to its place and return what was done, with a line for the reader.

    What was done is "delivered" or "offered" (the manifest then says so), or "".
    """
    new = digest(page)
    if not path.exists():
        if delivered and not reset:  # the reader deleted it
            return "", ""
        copy(page, path)
        return "delivered", ""
    if not path.is_file():
        return "", f"{path} is no file: the page of that name is left out."
    mine = digest(path)
    if mine == new:
        return "delivered", ""
    if mine in (delivered, offered):  # or the reader took the one that lay beside
        copy(page, path)
        return "delivered", ""
    if reset:
        kept = free_name(path, datetime.now().strftime("%Y-%m-%d"))
        shutil.copy2(path, kept)
        copy(page, path)
        return "delivered", f"{path.name} is fresh again; your version is {kept.name}."
    if new in (delivered, offered):
        return "", ""
    beside = free_name(path, "new", known=offered)
    copy(page, beside)
    return (
        "offered",
        f"{path.name} is yours and stays; its new version is {beside.name}.",
    )


def deliver(source: Path, target: Path, reset: bool = False) -> list[str]:
    """Deliver the pages and return a line for each thing that the reader should know.

    The manifest is written after each page, so that an interrupted delivery goes on.
    """
    for left_over in target.rglob(f"{UNFINISHED}*"):
        left_over.unlink()
    manifest = read_manifest(target)
    lines = []
    for name, page in pages(source).items():
        before = {key: hashes.get(name) for key, hashes in manifest.items()}
        try:
            done, line = bring(page, target / name, reset=reset, **before)
        except (FileExistsError, NotADirectoryError):
            done, line = "", f"{name} is left out: your file is where its folder was."
        if line:
            lines.append(line)
        if done and before[done] != digest(page):
            manifest[done][name] = digest(page)
            write_manifest(target, manifest)
    return lines


def main() -> int:
    """Parse, deliver, tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--reset", action="store_true", help="fresh pages, copies kept")
    arguments = parser.parse_args()
    if not arguments.source.is_dir():
        print(f"There is no folder {arguments.source} to deliver.", file=sys.stderr)
        return 2
    try:
        arguments.target.mkdir(parents=True, exist_ok=True)
        lines = deliver(arguments.source, arguments.target, arguments.reset)
    except OSError as error:
        print(
            f"The tutorial could not be written to {arguments.target}: {error}. "
            "Check that the folder is yours and the disk is not full.",
            file=sys.stderr,
        )
        return 1
    for line in lines:
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
