#!/opt/tutorial/venv/bin/python
"""Make, while the image is built, what a first start unpacks: a cluster and a profile.

No secret is made here. The role has no password and the configuration none either;
`first-start` fills both in for each volume.
"""

import subprocess
import tarfile
from pathlib import Path

HOME = Path("/home/aiida")
# One compressed file: 1,300 small ones take twice as long to read from an image.
SEED = Path("/run/tutorial/seed.tar.gz")
DATA = HOME / ".services/postgresql/17"
BIN = Path("/usr/lib/postgresql/17/bin")


def run(*command: str | Path) -> None:
    """Run a command; fail with it."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def make_cluster() -> None:
    """Make the database cluster; small write-ahead segments, as little is written."""
    DATA.parent.mkdir(parents=True, mode=0o700)
    run(
        BIN / "initdb",
        f"--pgdata={DATA}",
        "--username=aiida",
        "--auth=trust",  # during the build only: the image's pg_hba.conf is another one
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C.UTF-8",
        "--wal-segsize=1",
        "--data-checksums",
    )


def make_profile() -> None:
    """Make the profile and its computer as `verdi presto` does, with RabbitMQ.

    Not `verdi presto` itself: it would want a running RabbitMQ, and where it finds none
    it falls back to ZeroMQ without failing.
    """
    from aiida.manage.configuration import create_profile, get_config, load_profile
    from aiida.orm import Computer

    config = get_config(create=True)
    create_profile(
        config,
        name="tutorial",
        email="aiida@localhost",
        storage_backend="core.psql_dos",
        storage_config={
            "database_engine": "postgresql_psycopg",
            "database_hostname": "127.0.0.1",
            "database_port": 5432,
            "database_name": "tutorial",
            "database_username": "tutorial",
            "database_password": "",
            "repository_uri": (HOME / ".aiida/repository/tutorial").as_uri(),
        },
        broker_backend="core.rabbitmq",
        broker_config={
            "broker_protocol": "amqp",
            "broker_username": "tutorial",
            "broker_password": "",
            "broker_host": "127.0.0.1",
            "broker_port": 5672,
            "broker_virtual_host": "",
        },
    )
    config.set_default_profile("tutorial", overwrite=True)
    config.set_option("runner.poll.interval", 1, scope="tutorial")
    # Longer than the 30 s after which it kills a worker that does not end.
    config.set_option("daemon.timeout", 45, scope="tutorial")
    # AiiDA warns of every RabbitMQ >= 3.8.15 because its consumer_timeout closes the
    # channel of a worker whose task runs for longer than 30 minutes. That timeout is
    # undefined here (rabbitmq.config), so the reason for the warning is gone.
    config.set_option("warnings.rabbitmq_version", False)
    config.store()

    profile = load_profile("tutorial")
    assert profile.storage_backend == "core.psql_dos"
    assert profile.process_control_backend == "core.rabbitmq"
    computer = Computer(
        label="localhost",
        hostname="localhost",
        description="This seat",
        transport_type="core.local",
        scheduler_type="core.direct",
        workdir=str(HOME / ".aiida/scratch/tutorial"),
    ).store()
    computer.configure(safe_interval=0)
    computer.set_minimum_job_poll_interval(1)
    computer.set_default_mpiprocs_per_machine(1)


def main() -> None:
    """Make the cluster, run it while the profile is made in it, and stop it cleanly."""
    make_cluster()
    pg_ctl = (BIN / "pg_ctl", "--pgdata", DATA, "--silent", "--wait")
    options = (
        "-c listen_addresses=127.0.0.1 -c unix_socket_directories=/run/postgresql"
        " -c wal_level=minimal -c max_wal_senders=0"
        " -c min_wal_size=2MB -c max_wal_size=2MB"  # less to copy at a first start
    )
    run(*pg_ctl, "--log=/tmp/postgresql.log", "--options", options, "start")
    try:
        psql = (BIN / "psql", "--host=127.0.0.1", "--dbname=postgres", "--command")
        run(*psql, "CREATE ROLE tutorial LOGIN")
        run(*psql, "CREATE DATABASE tutorial OWNER tutorial")
        make_profile()
        run(*psql, "VACUUM FULL")
    finally:
        run(*pg_ctl, "--mode=fast", "stop")
    with tarfile.open(SEED, "w:gz") as seed:
        seed.add(HOME, arcname=".")


if __name__ == "__main__":
    main()
