"""aiida-hitl, as a person and as a program use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import click
import pexpect
import pytest
from aiida.orm import Int, Str, WorkChainNode
from click.testing import CliRunner

from aiida_humanintheloop import Boolean, Choice, Float, Integer, Json, Node, Question
from aiida_humanintheloop.cli.root import hitl
from tests.asking import AskAndReturnNested, AskOne, AskTwo, Parent
from tests.commands import terminal, verdi
from tests.game import a_wrong_guess, target_of
from tests.patience import wait_until
from tests.processes import ended
from tests.profile import refresh


def commands(group: click.Group, *names: str) -> Iterator[tuple[str, ...]]:
    """Yield the names of every command that there is."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*names, name)
        if isinstance(command, click.Group):
            yield from commands(command, *names, name)


COMMANDS = list(commands(hitl))


def run(*arguments: object, typed: str = "", code: int = 0) -> str:
    """Run aiida-hitl in this process and return what it printed."""
    result = CliRunner().invoke(hitl, [str(each) for each in arguments], input=typed)
    assert result.exit_code == code, (result.output, result.exception)
    return result.output


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_a_help_with_an_example(command: tuple[str, ...]) -> None:
    """It needs no profile."""
    printed = run(*command, "--help")
    assert "For example:" in printed
    assert f"aiida-hitl {' '.join(command)}" in printed


def test_the_commands_are_those_of_the_help() -> None:
    """Also by itself, and for a word that is none."""
    printed = run("--help")
    assert len(COMMANDS) >= 9
    assert all(f"  {command}" in printed for command, *_ in COMMANDS)
    assert "The most similar commands are" in run("lst", code=2)


def test_the_program_is_installed() -> None:
    """The entry point answers, with the version."""
    done = subprocess.run(["aiida-hitl", "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("aiida-hitl, version ")


def test_a_shell_completes_the_commands() -> None:
    """As README says, by what click prints for it."""
    words = {"COMP_WORDS": "aiida-hitl hi", "COMP_CWORD": "1"}
    done = subprocess.run(
        ["aiida-hitl"],
        capture_output=True,
        text=True,
        env={**os.environ, **words, "_AIIDA_HITL_COMPLETE": "bash_complete"},
    )
    assert done.stdout == "plain,history\n"


def test_what_needs_no_engine_does_not_load_it() -> None:
    """It takes seconds, for which nobody shall wait who asks for the commands."""
    program = (
        "import sys, aiida_humanintheloop as package, aiida_humanintheloop.cli.root\n"
        "assert 'aiida.engine' not in sys.modules\n"
        "for name in package.__all__:\n"
        "    assert getattr(package, name).__name__ == name\n"
        "    assert name in dir(package)\n"
        "assert not hasattr(package, 'nothing')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_inbox_lists_what_is_asked(ask: Callable[..., WorkChainNode]) -> None:
    """Who is asked what, by which workflow, until when; oldest first."""
    question = Question(
        "Which cutoff?",
        Integer(20, 200, unit="Ry"),
        60,
        assignees=("ada@example.org",),
        within=timedelta(days=1),
        at_deadline="default",
    )
    first = ask(AskOne, question=question)
    second = ask(AskTwo, until=Str("all"))
    rows = [line.split("\t") for line in run("list", "--raw").splitlines()]
    mine = [row for row in rows if int(row[0]) in (first.pk, second.pk)]
    assert [int(row[0]) for row in mine] == [first.pk, second.pk, second.pk]
    assert mine[0][2:7] == [
        "AskOne",
        "",
        "ada@example.org",
        "Which cutoff?",
        "an integer between 20 and 200 Ry",
    ]
    assert mine[0][7].endswith(" UTC")
    assert [row[8] for row in mine] == ["1", "1", "2"]
    assert [row[5] for row in mine[1:]] == ["first: The first?", "second: The second?"]
    printed = " ".join(run("list").split())  # a narrow terminal folds the lines
    assert "Which cutoff?" in printed
    assert "for ada@example.org" in printed
    assert "\x1b" not in printed
    records = {each["pk"]: each for each in json.loads(run("list", "--json"))}
    assert records[first.pk]["questions"][0]["schema"] == {
        "type": "integer",
        "minimum": 20,
        "maximum": 200,
    }
    assert len(records[second.pk]["questions"]) == 2


def test_a_nested_question_is_shown_under_its_root(
    ask: Callable[..., WorkChainNode],
) -> None:
    """The caller is named, whatever the depth."""
    parent = ask(Parent, question=Question("Nested?"))
    rows = [line.split("\t") for line in run("list", "--raw").splitlines()]
    (row,) = [row for row in rows if row[3] == f"Parent {parent.pk}"]
    assert row[5] == "Nested?"


def test_what_is_paused_without_a_question_is_listed_with_all(
    ask: Callable[..., WorkChainNode],
) -> None:
    """With the reason that the process says."""
    node = ask(AskOne, question=Question("Taken back?"))
    from aiida_humanintheloop.mailbox import OwnMailbox

    OwnMailbox(node).close("by the test")
    node.set_process_status("Pausing after calculation job: transport task failed")
    assert f"{node.pk}\t" not in run("list", "--raw")
    rows = [line.split("\t") for line in run("list", "--all", "--raw").splitlines()]
    (row,) = [row for row in rows if row[0] == str(node.pk)]
    assert row[5] == "Pausing after calculation job: transport task failed"
    assert "transport task failed" in " ".join(run("list", "--all").split())


def test_hostile_text_stays_text(ask: Callable[..., WorkChainNode]) -> None:
    """Neither markup nor control characters of a question reach the terminal."""
    node = ask(AskOne, question=Question("[red]Evil[/red]\x1b[2J\r\nline?\x07"))
    for command in (("list",), ("show", node.pk), ("history", node.pk)):
        printed = run(*command)
        assert "[red]Evil[/red]" in printed
        assert "\x1b" not in printed
        assert "\x07" not in printed


def test_show_tells_all_and_how_to_answer(ask: Callable[..., WorkChainNode]) -> None:
    """Evidence, default, help text and deadline are there."""
    energy = Int(1, label="the energy").store()
    question = Question(
        "Which way?",
        Choice(("left", "right")),
        "left",
        help="Look at the energy first.",
        evidence=energy,
        within=timedelta(hours=2),
    )
    node = ask(AskOne, question=question)
    printed = run("show", node.pk)
    for fact in (
        "1. left",
        "Default:   'left'",
        f"Look at:   Int <{energy.pk}> the energy",
        "then goes on waiting",
        "Look at the energy first.",
        f"aiida-hitl answer {node.pk} --question 1",
    ):
        assert fact in printed
    (record,) = json.loads(run("show", node.pk, "--json"))
    assert record["open"]
    assert record["question"]["evidence"] == [energy.uuid]


def test_an_answer_is_accepted_refused_or_too_late(
    ask: Callable[..., WorkChainNode],
) -> None:
    """The exit code tells, and so does the line."""
    node = ask(AskOne, question=Question("How many?", Integer(1, 9)))
    refused = run("answer", node.pk, "ten", code=1)
    assert "must be an integer between 1 and 9" in refused
    assert run("answer", node.pk, "7", "-m", "because") == f"{node.pk}: Accepted: 7\n"
    wait_until(lambda: refresh() or node.is_finished_ok, "it goes on")
    late = run("answer", node.pk, "8", "--question", "1", code=1)
    assert "Question 1 was already answered with 7 by aiida@localhost at" in late
    assert "7\ttest@localhost" in run("history", node.pk, "--raw").replace(
        "aiida@localhost", "test@localhost"
    )
    assert "because" in run("history", node.pk)
    (record,) = json.loads(run("history", node.pk, "--json"))
    assert record["answer"]["via"] == "terminal"


def test_a_closed_question_is_refused_by_its_id(
    ask: Callable[..., WorkChainNode],
) -> None:
    """Whoever answers it is told who was first."""
    node = ask(AskTwo, until=Str("all"))
    run("answer", node.pk, "a", "--question", "first")
    late = run("answer", node.pk, "b", "--question", "1", code=1)
    assert "Question 1 was already answered with 'a' by" in late
    assert "2 questions" not in run("answer", node.pk, "c")


def test_an_answer_comes_from_a_prompt_or_a_file(
    ask: Callable[..., WorkChainNode], tmp_path: Any
) -> None:
    """Options can be chosen by their number; an empty line takes the default."""
    node = ask(AskOne, question=Question("Which way?", Choice(("left", "right"))))
    printed = run("answer", node.pk, typed="2\n")
    assert "  2. right" in printed
    assert "Accepted: 'right'" in printed
    node = ask(AskOne, question=Question("Sure?", Boolean(), True))
    assert "Accepted: True" in run("answer", node.pk, typed="\n")
    node = ask(AskOne, question=Question("What?"))
    path = tmp_path / "answer.txt"
    path.write_bytes(b"\xff\xfe")
    printed = run("answer", node.pk, "--file", path, code=2)
    assert f"{path} is not text in UTF-8" in printed
    path.write_text("from a file\n")
    assert "Accepted: 'from a file'" in run("answer", node.pk, "--file", path)
    assert "not both" in run("answer", node.pk, "x", "--file", path, code=2)


def test_a_negative_number_is_a_value(ask: Callable[..., WorkChainNode]) -> None:
    """And a word that looks like an option and is none is no value."""
    node = ask(AskOne, question=Question("How cold?", Float(-273.15, 100, unit="C")))
    assert "No such option" in run("answer", node.pk, "--coment", "x", code=2)
    assert "Accepted: -12.5" in run("answer", node.pk, "-12.5")


def test_json_is_all_that_a_program_reads(game: WorkChainNode) -> None:
    """Nobody is asked, and the next question is in it."""
    assert "nobody is asked" in run("answer", game.pk, "--json", code=2)
    wrong = a_wrong_guess(game)
    (said,) = json.loads(run("answer", game.pk, wrong, "--json", "--wait"))
    assert said["outcome"] == "accepted"
    assert said["next"]["id"] == "2"
    (said,) = json.loads(run("answer", game.pk, target_of(game), "--json", "--wait"))
    assert said["next"] is None


def test_what_can_be_chosen_is_named(ask: Callable[..., WorkChainNode]) -> None:
    """Nodes by their labels, JSON by its schema."""
    nodes = [Int(n, label=f"candidate {n}").store() for n in (1, 2)]
    node = ask(AskOne, question=Question("Which?", Node(among=nodes)))
    printed = run("show", node.pk)
    assert all(f"Int <{each.pk}> {each.label}" in printed for each in nodes)
    assert "Accepted: " in run("answer", node.pk, nodes[1].pk)
    schema = {"type": "object", "required": ["kpoints"], "title": "mesh"}
    node = ask(AskOne, question=Question("Which mesh?", Json(schema)))
    assert '"kpoints"' in run("show", node.pk)


def test_a_question_that_is_not_open_is_told_by_its_name(
    ask: Callable[..., WorkChainNode],
) -> None:
    """With those that are; an object answers all of them, also typed."""
    node = ask(AskTwo, until=Str("all"))
    told = run("answer", node.pk, "a", "--question", "99", code=1)
    assert "There is no question '99'. Open: first, second." in told
    printed = run("answer", node.pk, '{"first": "a", "second": "b"}')
    assert "Accepted" in printed
    ended(node)


def test_who_answers_a_caller_is_told_what_asks(
    ask: Callable[..., WorkChainNode],
) -> None:
    """Whatever the caller is."""
    parent = ask(Parent, question=Question("Down here?"))
    (child,) = parent.called
    for command in (("show",), ("answer", "--json")):
        name, *options = command
        told = run(name, parent.pk, *options, *(["x"] if options else []), code=1)
        assert f"It has called what asks: {child.pk} (AskOne)." in told


def test_the_end_names_outputs_in_namespaces(ask: Callable[..., WorkChainNode]) -> None:
    """As `node.outputs` does."""
    node = ask(AskAndReturnNested, question=Question("Well?"))
    assert "deep.answer: Dict <" in run("play", node.pk, typed="yes\n")


def test_one_decision_answers_all_matching_questions(
    ask: Callable[..., WorkChainNode],
) -> None:
    """Each workflow judges and records it; others are left alone."""
    same = [ask(AskOne, question=Question("Go on with all?", Boolean())) for _ in "abc"]
    other = ask(AskOne, question=Question("Go on with this?", Boolean()))
    printed = run("answer", same[0].pk, "yes", "--all-matching")
    assert printed.count("Accepted: True") == 3
    for node in same:
        wait_until(lambda node=node: refresh() or node.is_finished_ok, "it goes on")
    assert not other.is_terminated


def test_wait_shows_the_next_question(game: WorkChainNode) -> None:
    """As soon as it is asked."""
    wrong = a_wrong_guess(game)
    printed = run("answer", game.pk, wrong, "--wait")
    assert "Question 2: My number is" in printed


def test_play_goes_on_until_the_end(game: WorkChainNode) -> None:
    """It is auto-guess for every workflow."""
    wrong, target = a_wrong_guess(game), target_of(game)
    printed = run("play", game.pk, typed=f"{wrong}\n{target}\n")
    assert "Question 2: My number is" in printed
    assert f"The workflow has finished: HumanLoopWorkChain <{game.pk}>" in printed
    assert "result: Dict <" in printed


def test_watch_shows_a_question_as_it_comes_and_goes(
    ask: Callable[..., WorkChainNode],
) -> None:
    """Without a key being pressed, until Ctrl-C; of many the newest are seen."""
    others = [ask(AskOne, question=Question(f"No. {n}?")) for n in range(12)]
    screen = terminal("aiida-hitl", "watch")
    node = ask(AskOne, question=Question("Now on the screen?"))
    screen.expect_exact("Now on the screen?")
    run("answer", node.pk, "yes")
    # Where its row was, there is one more of the others.
    screen.expect(r"earlier: aiida-hitl list(?:(?!Now on the screen).)*No\. 11\?")
    for other in others:
        run("answer", other.pk, "yes")
    screen.sendintr()
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 130


@pytest.mark.parametrize("command", ["answer", "history", "play", "show"])
def test_an_unknown_workflow_is_told_in_one_line(profile: str, command: str) -> None:
    """With exit code 1, and where to look."""
    printed = run(command, 999999, code=1)
    assert printed == (
        "Error: There is no workflow 999999: `verdi process list -a` shows them.\n"
    )


def test_an_empty_inbox_says_so(profile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a line of its own."""
    from aiida_humanintheloop import render

    with render._console.capture() as printed:
        render.print_waiting([], everything=False)
    assert printed.get() == "Nothing waits for a person.\n"


@pytest.mark.restarts_daemon
def test_with_the_daemon_down_the_answer_is_kept(
    ask: Callable[..., WorkChainNode],
) -> None:
    """Exit code 3 tells a program so."""
    node = ask(AskOne, question=Question("Kept?"))
    verdi("daemon", "stop")
    assert "your answer is kept" in run("answer", node.pk, "yes", code=3)
    verdi("daemon", "start")
    wait_until(lambda: refresh() or node.is_finished_ok, "the kept answer is taken")
