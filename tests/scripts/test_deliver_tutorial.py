"""Bringing the tutorial's pages to the reader: nothing of the reader's is lost."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "deliver-tutorial.py"


@pytest.fixture
def source(tmp_path):
    """Two pages, one of them in a folder."""
    source = tmp_path / "source"
    (source / "pictures").mkdir(parents=True)
    (source / "1-pause.md").write_text("first\n")
    (source / "pictures" / "states.svg").write_text("<svg/>\n")
    return source


@pytest.fixture
def target(tmp_path):
    """Name the reader's folder, which does not exist yet."""
    return tmp_path / "home" / "tutorial"


def deliver(source, target, *options, expect=0):
    """Run the script as the entrypoint does and return the lines it printed."""
    done = subprocess.run(
        [sys.executable, SCRIPT, source, target, *options],
        capture_output=True,
        text=True,
    )
    assert done.returncode == expect, done.stderr
    return (done.stdout + done.stderr).splitlines()


def content(folder):
    """Return the text of each visible file by its name."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def test_the_first_delivery_brings_every_page_and_the_second_is_silent(source, target):
    """A first start brings all pages; a start with nothing new says nothing."""
    assert deliver(source, target) == []
    assert content(target) == content(source)
    before = {path: path.stat().st_mtime_ns for path in target.rglob("*")}
    assert deliver(source, target) == []
    assert {path: path.stat().st_mtime_ns for path in target.rglob("*")} == before


def test_an_unchanged_page_is_updated_in_place(source, target):
    """The reader who changed nothing has the new version after an upgrade."""
    deliver(source, target)
    (source / "1-pause.md").write_text("second\n")
    assert deliver(source, target) == []
    assert content(target) == content(source)


def test_a_changed_page_stays_and_the_new_version_is_offered_once(source, target):
    """What the reader wrote stays; the new version lies beside it, told in one line."""
    deliver(source, target)
    (target / "1-pause.md").write_text("mine\n")
    assert deliver(source, target) == []
    (source / "1-pause.md").write_text("second\n")
    assert deliver(source, target) == [
        "1-pause.md is yours and stays; its new version is 1-pause.new.md."
    ]
    assert (target / "1-pause.md").read_text() == "mine\n"
    assert (target / "1-pause.new.md").read_text() == "second\n"
    (target / "1-pause.new.md").unlink()
    assert deliver(source, target) == []
    assert not (target / "1-pause.new.md").exists()


def test_work_in_an_offered_page_is_kept_as_well(source, target):
    """Who goes on in the page that was laid beside loses nothing by the next one."""
    deliver(source, target)
    (target / "1-pause.md").write_text("mine\n")
    (source / "1-pause.md").write_text("second\n")
    deliver(source, target)
    (source / "1-pause.md").write_text("third\n")
    (line,) = deliver(source, target)
    assert line.endswith("its new version is 1-pause.new.md.")
    assert (target / "1-pause.new.md").read_text() == "third\n"  # it was not touched
    (target / "1-pause.new.md").write_text("mine, too\n")
    for version in ("fourth\n", "fifth\n"):
        (source / "1-pause.md").write_text(version)
        (line,) = deliver(source, target)
        assert line.endswith("its new version is 1-pause.new-2.md.")
    assert content(target) == {
        "1-pause.md": "mine\n",
        "1-pause.new.md": "mine, too\n",
        "1-pause.new-2.md": "fifth\n",
        "pictures/states.svg": "<svg/>\n",
    }


def test_a_reader_who_took_the_offered_page_is_up_to_date_from_then_on(source, target):
    """It is not the reader's work, though it is not what was delivered either."""
    deliver(source, target)
    (target / "1-pause.md").write_text("mine\n")
    (source / "1-pause.md").write_text("second\n")
    deliver(source, target)
    (target / "1-pause.new.md").replace(target / "1-pause.md")
    (source / "1-pause.md").write_text("third\n")
    assert deliver(source, target) == []
    assert content(target) == content(source)


def test_a_page_that_was_only_opened_is_still_unchanged(source, target):
    """JupyterLab saves versions into the header by itself; the text is what counts."""
    page = "---\nkernelspec:\n  name: python3\n---\n\n# Title\n\n---\n\n{text}\n"
    (source / "1-pause.md").write_text(page.format(text="first"))
    deliver(source, target)
    saved = page.replace("  name", "  display_name: Python 3 (ipykernel)\n  name")
    (target / "1-pause.md").write_text(saved.format(text="first"))
    (source / "1-pause.md").write_text(page.format(text="second"))
    assert deliver(source, target) == []
    assert content(target) == content(source)
    (target / "1-pause.md").write_text(saved.format(text="mine"))
    (source / "1-pause.md").write_text(page.format(text="third"))
    assert len(deliver(source, target)) == 1


def test_a_deleted_page_stays_deleted_until_reset(source, target):
    """Deleting is a change too; --reset brings the page back."""
    deliver(source, target)
    (target / "1-pause.md").unlink()
    (source / "1-pause.md").write_text("second\n")
    assert deliver(source, target) == []
    assert not (target / "1-pause.md").exists()
    assert deliver(source, target, "--reset") == []
    assert content(target) == content(source)


def test_reset_gives_fresh_pages_and_keeps_each_version_of_the_reader(source, target):
    """Two resets on one day keep both versions."""
    deliver(source, target)
    for mine in ("mine", "mine again"):
        (target / "1-pause.md").write_text(mine)
        (line,) = deliver(source, target, "--reset")
        assert re.fullmatch(
            r"1-pause\.md is fresh again; your version is "
            r"1-pause\.\d{4}-\d\d-\d\d(-2)?\.md\.",
            line,
        )
        assert (target / "1-pause.md").read_text() == "first\n"
    kept = [text for name, text in content(target).items() if "-pause.2" in name]
    assert sorted(kept) == ["mine", "mine again"]


def test_pages_that_were_there_before_are_not_overwritten(source, target):
    """A lost or broken manifest makes every differing page the reader's."""
    target.mkdir(parents=True)
    (target / "1-pause.md").write_text("mine\n")
    (target / ".delivered.json").write_text("{")
    assert deliver(source, target) == [
        "1-pause.md is yours and stays; its new version is 1-pause.new.md."
    ]
    assert (target / "1-pause.md").read_text() == "mine\n"


def test_a_file_where_a_folder_was_leaves_out_only_that_folder(source, target):
    """The other pages come all the same."""
    target.mkdir(parents=True)
    (target / "pictures").write_text("mine\n")
    assert deliver(source, target) == [
        "pictures/states.svg is left out: your file is where its folder was."
    ]
    assert content(target) == {"1-pause.md": "first\n", "pictures": "mine\n"}


def test_what_an_interrupted_delivery_left_is_swept_away(source, target):
    """Half a file of an earlier try is not there afterwards."""
    target.mkdir(parents=True)
    (target / ".delivering-abc").write_text("fir")
    deliver(source, target)
    assert not list(target.glob(".delivering-*"))


def test_pages_of_a_read_only_source_can_be_written_by_the_reader(source, target):
    """The image keeps its pages read-only; the reader's copies are not."""
    (source / "1-pause.md").chmod(0o444)
    deliver(source, target)
    assert (target / "1-pause.md").stat().st_mode & 0o777 == 0o644


def test_a_missing_source_is_told_in_one_line(tmp_path, target):
    """Wrong usage has its own exit code."""
    (line,) = deliver(tmp_path / "nothing", target, expect=2)
    assert line == f"There is no folder {tmp_path / 'nothing'} to deliver."


def test_a_place_that_cannot_be_a_folder_is_told_in_one_line(source, tmp_path):
    """The line says what could not be written."""
    (tmp_path / "file").write_text("")
    (line,) = deliver(source, tmp_path / "file" / "tutorial", expect=1)
    assert line.startswith(f"The tutorial could not be written to {tmp_path}/file")
