"""People are told of a question, by real servers, and no workflow waits for that."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from datetime import timedelta

from aiida.orm import WorkChainNode

from aiida_humanintheloop import Integer, Question
from aiida_humanintheloop.inbox import answer
from aiida_humanintheloop.notify.addresses import addresses
from aiida_humanintheloop.notify.told import told
from tests.asking import AskOne
from tests.commands import hitl
from tests.faults import kill_worker
from tests.patience import wait_until
from tests.processes import ended
from tests.profile import refresh
from tests.receivers import Mailbox, Webhook

Ask = Callable[..., WorkChainNode]
NO_WAIT = ("--every", "0")


def add(url: str, *options: str) -> int:
    """Have an address be told, and return its number."""
    printed = hitl("notify", "add", url, *options)
    assert "is told from now on" in printed
    return int(printed.partition(":")[0])


def text_of(node: WorkChainNode) -> str:
    """Return what stands in each message about a workflow, and in no other."""
    return f"answer {node.pk} VALUE"


def wait_for(webhook: Webhook, node: WorkChainNode) -> str:
    """Return the first message about a workflow."""
    wait_until(lambda: bool(webhook.told_of(text_of(node))), "somebody is told")
    return webhook.told_of(text_of(node))[0]


def test_addresses_are_kept_and_shown_without_secrets(no_address: None) -> None:
    """In the terminal and as JSON, when added, listed and removed."""
    added = hitl("notify", "add", "json://ada:pass@host/hooks/token?+X-Key=header")
    hitl(
        "notify",
        "add",
        "--for",
        "ada@example.org",
        "slack://Tabcdef/Bhijkl/" + 24 * "m",
    )
    hitl(
        "notify", "add", "--every", "7.5", "mailtos://ada:pass@example.org?to=bob@c.org"
    )
    hitl("notify", "add", "ntfy://a-secret-topic")
    printed = [added, hitl("notify", "list"), hitl("notify", "list", "--json")]
    records = json.loads(printed[-1])
    assert [each["address"] for each in records] == [
        "json://****@host/****",
        "slack://T...f/B...l/m...m",
        "mailtos://ada:****@example.org/bob@c.org",
        "ntfys://a...c",
    ]
    assert [each["for"] for each in records] == [None, "ada@example.org", None, None]
    assert [each["every_seconds"] for each in records] == [60, 60, 7.5, 60]
    first, *others = [each["number"] for each in records]
    printed.append(hitl("notify", "remove", str(first)))
    for secret in ("pass", "token", "header", "X-Key", "mmm", "secret"):
        assert secret not in "".join(printed)
    records = json.loads(hitl("notify", "list", "--json"))
    assert [each["number"] for each in records] == others
    assert add("json://other") == others[-1] + 1


def test_bad_input_is_told_in_a_line(no_address: None) -> None:
    """And nothing is added or removed."""
    number = add("json://127.0.0.1")
    no_such = str(number + 1)
    for arguments, reason in (
        (("add", "nonsense"), "no address that Apprise can send to"),
        (("add", "json://127.0.0.1"), f"there already, as {number}"),
        (("add", "json://127.0.0.1/?method=post"), f"there already, as {number}"),
        (("add", "mailto://ada:hidden@host"), "Invalid ~From~ email specified"),
        (("remove", no_such), f"There is no address {no_such}"),
        (("test", no_such), f"There is no address {no_such}"),
    ):
        printed = hitl("notify", *arguments, fails=1)
        assert reason in printed
        assert len(printed.splitlines()) == 1
        assert "hidden" not in printed
    for command in "remove", "test":
        printed = hitl("notify", command, "json://ada:hidden@host", fails=2)
        assert "it must be a number of" in " ".join(printed.split())
        assert "hidden" not in printed
    for every, code in ("inf", 2), ("-1", 2), ("1e300", 2), ("nan", 1):
        hitl("notify", "add", "--every", every, "json://other", fails=code)
    assert len(addresses()) == 1


def test_a_test_says_whether_it_was_sent(webhook: Webhook) -> None:
    """To each address; one that fails is the exit code."""
    add(webhook.url)
    assert "sent" in hitl("notify", "test")
    assert webhook.messages[0][0] == "AiiDA: this is a test"
    number = add("json://127.0.0.1:9/closed")
    done = subprocess.run(
        ["aiida-hitl", "notify", "test", str(number)], capture_output=True, text=True
    )
    assert "not sent: A Connection error occurred" in done.stdout
    assert (done.returncode, done.stderr) == (1, "")
    assert len(webhook.messages) == 1


def test_whoever_is_told_can_answer(webhook: Webhook, ask: Ask) -> None:
    """By what stands in the message; what was open before is not told."""
    before = ask(AskOne, question=Question("How many?", Integer(1, 9)))
    time.sleep(1)  # when that was is known to the second
    add(webhook.url, *NO_WAIT)
    node = ask(AskOne, question=Question("How many\nthen?", Integer(1, 9)))
    body = wait_for(webhook, node)
    assert f"AskOne <{node.pk}> asks:\nHow many then?\n" in body
    assert "Expected: an integer between 1 and 9." in body
    command = re.search(r"^Answer: aiida-hitl (.*) VALUE$", body, re.MULTILINE)
    assert command is not None
    assert "Accepted" in hitl(*command[1].split(), "3")
    assert not webhook.told_of(text_of(before))
    (record,) = json.loads(hitl("notify", "list", "--json"))
    assert record["last_message"]
    assert record["error"] is None


def test_a_burst_is_one_message(
    webhook: Webhook, submit_game: Callable[[], WorkChainNode]
) -> None:
    """Or two where the machine is slow, in which each question stands once."""
    add(webhook.url, *NO_WAIT)
    nodes = [submit_game() for _ in range(8)]
    for node in nodes:
        wait_for(webhook, node)
    assert len(webhook.messages) <= len(nodes) / 2
    assert "(and " in webhook.messages[0][0]
    assert [len(webhook.told_of(text_of(node))) for node in nodes] == [1] * 8


def test_a_slow_reply_is_waited_for(webhook: Webhook, ask: Ask) -> None:
    """Else whoever replies slowly would be told again and again."""
    add(webhook.url, *NO_WAIT)
    webhook.replies.clear()
    node = ask(AskOne, question=Question("Slowly?"))
    wait_for(webhook, node)
    time.sleep(6)  # Apprise by itself gives up after 4
    webhook.replies.set()
    wait_until(lambda: refresh() or is_kept(node), "it is kept")
    assert len(webhook.told_of(text_of(node))) == 1


def test_a_question_for_others_is_not_told(webhook: Webhook, ask: Ask) -> None:
    """Where an address is one person's; what is for nobody in particular is."""
    other = Webhook()
    add(webhook.url, *NO_WAIT)
    add(other.url, *NO_WAIT, "--for", "ada@example.org")
    for_bob = Question("Bob?", assignees=["bob@example.org"])
    for_ada = Question("Ada?", assignees=["ada@example.org"])
    nodes = [
        ask(AskOne, question=each) for each in (for_bob, for_ada, Question("All?"))
    ]
    assert "For bob@example.org only." in wait_for(webhook, nodes[0])
    wait_for(other, nodes[2])
    wait_for(other, nodes[1])
    assert not other.told_of(text_of(nodes[0]))
    other.close()


def test_a_reminder_comes_before_the_deadline(webhook: Webhook, ask: Ask) -> None:
    """Once, with what happens then."""
    add(webhook.url, *NO_WAIT)
    question = Question(
        "Soon?", default="no", within=timedelta(seconds=20), at_deadline="default"
    )
    node = ask(AskOne, question=question)
    assert "UTC, then 'no' is taken." in wait_for(webhook, node)
    ended(node)
    title, body = webhook.messages[-1]
    assert title == "AiiDA: still waits: Soon?"
    assert f"AskOne <{node.pk}> still waits:" in body
    assert len(webhook.told_of(text_of(node))) == 2


def test_a_reminder_comes_for_what_was_open_before(webhook: Webhook, ask: Ask) -> None:
    """Though nothing else has the daemon look again before that."""
    late = Webhook()
    add(webhook.url, *NO_WAIT)
    question = Question(
        "Sooner?", default="no", within=timedelta(seconds=40), at_deadline="default"
    )
    node = ask(AskOne, question=question)
    wait_for(webhook, node)
    wait_until(lambda: refresh() or is_kept(node), "it looks no more")
    add(late.url, *NO_WAIT)
    ended(node)
    assert [title for title, _ in late.messages] == ["AiiDA: still waits: Sooner?"]
    late.close()


def test_no_workflow_waits_for_a_server(webhook: Webhook, ask: Ask) -> None:
    """One that hangs is left alone, one that is down is tried again."""
    down = Webhook()
    down.close()
    webhook.replies.clear()
    add(webhook.url, *NO_WAIT)
    number = add(down.url, *NO_WAIT)
    first = ask(AskOne, question=Question("Does it wait?"))
    wait_for(webhook, first)  # and it gets no reply
    assert answer(first, "no").accepted
    ended(first)
    webhook.replies.set()
    second = ask(AskOne, question=Question("Is it tried again?"))
    wait_until(lambda: refresh() or failed(number), "it was tried in vain")
    assert "Connection error" in hitl("notify", "list")
    up = Webhook(down.server_port)
    wait_for(up, second)
    assert not up.told_of(text_of(first))
    up.close()


def failed(number: int) -> bool:
    """Return whether the last message to an address was not sent."""
    return number in told() and told()[number].error is not None


def test_nobody_is_told_twice(webhook: Webhook, ask: Ask) -> None:
    """The worker that told is killed; the next one goes on where it was."""
    add(webhook.url, *NO_WAIT)
    first = ask(AskOne, question=Question("Who told?"))
    wait_for(webhook, first)
    wait_until(lambda: refresh() or is_kept(first), "it is kept")
    kill_worker()
    second = ask(AskOne, question=Question("And now?"))
    wait_for(webhook, second)
    assert len(webhook.told_of(text_of(first))) == 1


def is_kept(node: WorkChainNode) -> bool:
    """Return whether the profile has it that somebody was told."""
    return any(f"{node.pk}.1" in past.keys for past in told().values())


def test_a_mail_is_sent(no_address: None, ask: Ask) -> None:
    """As plain text, with the question as its subject."""
    mailbox = Mailbox()
    add(mailbox.url, *NO_WAIT)
    ask(AskOne, question=Question("Is 1 < 2 & <b>bold</b>?"))
    wait_until(lambda: bool(mailbox.mails), "a mail comes")
    mailbox.close()
    (mail,) = mailbox.mails
    assert mail["Subject"] == "AiiDA: Is 1 < 2 & <b>bold</b>?"
    assert mail["To"] == "ada@example.org"
    assert mail.get_content_type() == "text/plain"
    assert "Is 1 < 2 & <b>bold</b>?" in mail.get_payload(decode=True).decode()
