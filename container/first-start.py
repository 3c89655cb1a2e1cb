#!/usr/bin/python3 -ISs
"""Fill a fresh volume: unpack what the image prepared and make this volume's secrets.

Does nothing on a volume that is filled. An interrupted first start is begun again: the
last step is the rename that puts the services' folder in its place.
"""

import errno
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

HOME = Path("/home/aiida")
SEED = Path("/opt/tutorial/seed.tar.gz")
PARTIAL = HOME / ".first-start"


def main() -> None:
    """Unpack, make the secrets, and put everything in its place."""
    if (HOME / ".services").exists():
        if not (HOME / ".aiida/config.json").exists():
            sys.exit(
                "AiiDA's configuration (.aiida/config.json) is missing from the volume,"
                " but its database is there. Put it back from your backup, or start"
                " afresh with `docker compose down --volumes`, which deletes it all."
            )
        return
    shutil.rmtree(PARTIAL, ignore_errors=True)
    PARTIAL.mkdir(mode=0o700)
    subprocess.run(["tar", "-xzf", str(SEED), "-C", str(PARTIAL)], check=True)
    services = PARTIAL / ".services"
    (services / "rabbitmq").mkdir(mode=0o700)
    (services / "log").mkdir(mode=0o700)

    database_password = secrets.token_urlsafe(24)
    broker_password = secrets.token_urlsafe(24)
    set_database_password(services / "postgresql/17", database_password)
    write_secret(services / "rabbitmq/.erlang.cookie", secrets.token_hex(32), 0o400)
    write_secret(
        services / "rabbitmq/user.config",
        f'[{{rabbit, [{{default_user, <<"tutorial">>}},'
        f' {{default_pass, <<"{broker_password}">>}}]}}].\n',
        0o600,
    )
    configure_profile(
        PARTIAL / ".aiida/config.json", database_password, broker_password
    )

    put_in_place(PARTIAL / ".aiida", HOME / ".aiida")
    services.rename(HOME / ".services")
    shutil.rmtree(PARTIAL)


def put_in_place(folder: Path, place: Path) -> None:
    """Rename a folder; one that is there is of no use, without its database.

    Whoever calls `verdi` in a container that is only just starting makes it once more.
    """
    while True:
        try:
            folder.rename(place)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        date = time.strftime("%Y%m%d-%H%M%S")
        aside = place.with_name(
            f".aiida-without-database-{date}-{secrets.token_hex(2)}"
        )
        place.rename(aside)
        print(f"A configuration of AiiDA without its database was moved to {aside}.")


def set_database_password(cluster: Path, password: str) -> None:
    """Give the profile's role its password before the server ever listens."""
    subprocess.run(
        [
            "/usr/lib/postgresql/17/bin/postgres",
            "--single",
            "-D",
            str(cluster),
            "-c",
            "config_file=/opt/tutorial/container/postgresql.conf",
            "-c",
            "log_min_messages=fatal",
            "postgres",
        ],
        input=f"ALTER ROLE tutorial PASSWORD '{password}'\n",
        text=True,
        stdout=subprocess.DEVNULL,
        check=True,
    )


def configure_profile(path: Path, database_password: str, broker_password: str) -> None:
    """Fill the passwords and an identity of its own into the profile."""
    config = json.loads(path.read_text())
    profile = config["profiles"]["tutorial"]
    profile["PROFILE_UUID"] = uuid.uuid4().hex
    profile["storage"]["config"]["database_password"] = database_password
    profile["process_control"]["config"]["broker_password"] = broker_password
    path.write_text(json.dumps(config, indent=4))
    path.chmod(0o600)


def write_secret(path: Path, content: str, mode: int) -> None:
    """Write a file that is never readable for others, not even for a moment."""
    with os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w"
    ) as file:
        file.write(content)


main()
