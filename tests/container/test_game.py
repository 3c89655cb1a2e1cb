"""The tutorial in a seat: the game, and what is kept; test_make.py walks through."""

from __future__ import annotations

from tests.container.conftest import Seat, wait_until


def test_auto_guess_wins_from_a_second_container(seat: Seat) -> None:
    """It plays by itself, and leaves the daemon of the tutorial alone."""
    pk = seat.submit_game()
    game = seat.auto_guess(str(pk), "--auto")
    assert game.returncode == 0, game.stdout
    assert "Found" in game.stdout
    assert seat.is_finished(pk)
    assert "Daemon is running" in seat.run("verdi", "daemon", "status")


def test_auto_guess_takes_answers_from_a_pipe(seat: Seat) -> None:
    """A hundred answers always win; where they run out the game goes on waiting."""
    pk = seat.submit_game()
    game = seat.auto_guess(str(pk), stdin="not a number\n")
    assert game.returncode == 1
    assert f"docker compose run --rm auto-guess {pk}" in game.stdout
    number = seat.python(
        "from aiida_humanintheloop.workflows.guessing_game import hidden_number\n"
        "from aiida.orm import load_node\n"
        f"print(hidden_number(load_node({pk}).uuid))\n"
    )
    game = seat.auto_guess(str(pk), stdin=f"{number}\n")
    assert game.returncode == 0, game.stdout
    assert seat.is_finished(pk)


def test_auto_guess_starts_no_service(seat: Seat) -> None:
    """While the second container waits for an answer, each service runs once."""
    pk = seat.submit_game()
    services = "ps -eo args= | grep -cE '^(/usr/bin/python3 .*supervisord|postgres) '"
    alone = seat.shell(services)
    with seat.begin_auto_guess(str(pk)) as game:
        wait_until(
            lambda: seat.shell("pgrep -fc '[a]uto-guess.py' || true") != "0\n",
            "it plays",
        )
        assert seat.shell(services) == alone
        game.communicate("")  # the end of the input: the game waits on
    assert game.returncode == 1


def test_paused_game_goes_on_after_down_and_up(new_seat: Seat) -> None:
    """Database, queue and pages outlive the container; nobody has to play it again."""
    seat = new_seat
    seat.up()
    pk = seat.submit_game()
    question = seat.extras(pk)["question"]
    page = "~/tutorial/02-ask-through-extras.md"
    seat.shell(f"echo 'my own note' >> {page}; echo mine > ~/tutorial/notes.txt")
    token = seat.run("cat", ".services/jupyter-token")
    seat.down()

    # "shut down": no recovery at the next start, nothing was cut off.
    control = seat.in_volume("pg_controldata", "/home/aiida/.services/postgresql/17")
    assert "shut down\n" in control

    seat.up()
    assert seat.run("cat", ".services/jupyter-token") == token
    assert seat.shell(f"tail -n 1 {page} ~/tutorial/notes.txt | grep -c m[yi]") == "2\n"
    assert seat.extras(pk)["question"] == question
    game = seat.auto_guess(str(pk), "--auto")
    assert game.returncode == 0, game.stdout
    wait_until(lambda: seat.is_finished(pk), f"{pk} is won")
