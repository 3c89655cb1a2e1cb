# The tutorial in one image: PostgreSQL, RabbitMQ, the AiiDA daemon, JupyterLab, the plugin.
#
#   runtime   Debian packages and the user; no compiler, no cache
#   venv      the locked Python packages and this project's plugin
#   seed      a database cluster and an AiiDA profile, so that a first start only unpacks
#   tutorial  the image itself, which is also what a build without a target makes
#   test      the image plus what runs the plugin's tests inside it
#
# Where TLS is inspected on the way to the package index, give the build your CA bundle:
#   EXTRA_CA_CERTIFICATES=/etc/ssl/certs/ca-certificates.crt docker compose build
ARG BASE_IMAGE=debian:trixie-slim

FROM ${BASE_IMAGE} AS runtime
COPY container/dpkg-excludes /etc/dpkg/dpkg.cfg.d/tutorial
# postgresql-common would otherwise make a cluster of its own while it is installed.
RUN mkdir -p /etc/postgresql-common \
    && echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf \
    && apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        # draws the provenance graph of `verdi node graph generate`
        graphviz \
        # the database of the profile; also pg_dump for `verdi storage backup`
        postgresql-17 \
        # `ps`, which the scheduler plugin core.direct calls
        procps \
        # the interpreter of everything here
        python3 \
        # the message broker of the profile
        rabbitmq-server \
        # copies the file repository in `verdi storage backup`
        rsync \
        # keeps the four services running
        supervisor \
        # PID 1: forwards signals and buries zombies
        tini \
    # dpkg leaves the folders of what it excludes, and Erlang searches them
    && find /usr/lib/rabbitmq /usr/lib/postgresql -type d -empty -delete \
    && rm -rf /var/cache/apt/* /var/cache/debconf/*-old /var/lib/apt/lists/* \
        /var/lib/postgresql /var/lib/rabbitmq /var/log/* \
        # one and the same for every user of the image, and nothing here uses it
        /etc/ssl/private/* /etc/ssl/certs/ssl-cert-snakeoil.pem
RUN groupadd --gid 1000 aiida \
    && useradd --uid 1000 --gid 1000 --home-dir /home/aiida --no-create-home \
        --shell /bin/bash aiida \
    && install -d -o aiida -g aiida -m 700 /run/tutorial /run/postgresql \
    # a fresh volume takes its owner from here; what is in it comes at the first start
    && install -d -o aiida -g aiida -m 755 /home/aiida
ENV AIIDA_PATH=/home/aiida \
    HOME=/home/aiida \
    JUPYTER_CONFIG_PATH=/opt/tutorial/jupyter \
    JUPYTER_RUNTIME_DIR=/run/tutorial/jupyter \
    LANG=C.UTF-8 \
    PATH=/opt/tutorial/venv/bin:/usr/lib/postgresql/17/bin:/usr/local/bin:/usr/bin:/bin \
    SHELL=/bin/bash

FROM runtime AS venv
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        python3-venv \
    && python3 -m venv /opt/tutorial/venv
WORKDIR /src
COPY container/pip-install container/strip-packages /build/
COPY requirements.lock .
# Compiled once, here: the user cannot write into the environment, so nothing would be
# kept of a compilation at run time.
RUN --mount=type=secret,id=extra-ca-certificates \
    /build/pip-install --require-hashes --requirement requirements.lock \
    && /build/strip-packages /opt/tutorial/venv
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /build/pip-install --no-deps --no-build-isolation . \
    && { _VERDI_COMPLETE=bash_source verdi; _AIIDA_HITL_COMPLETE=bash_source aiida-hitl; } \
        > /opt/tutorial/completion
# What the reader writes there, the daemon finds, and last: with PYTHONPATH it would come
# first, and a reader's `random.py` would be everybody's.
RUN for packages in /opt/tutorial/venv/lib/python3*/site-packages; do \
        echo /home/aiida/my_workflows > "$packages/my_workflows.pth"; \
    done

# The scripts that a reader calls by their names; a `scripts/test` would stand before the
# system's own.
RUN ln -s /opt/tutorial/scripts/auto-guess.py /opt/tutorial/scripts/walkthrough.py \
    /opt/tutorial/venv/bin/

FROM runtime AS seed
COPY --from=venv /opt/tutorial/venv /opt/tutorial/venv
COPY container/seed.py /opt/tutorial/container/
USER aiida
RUN /opt/tutorial/container/seed.py

FROM venv AS test-venv
COPY requirements-dev.lock .
RUN --mount=type=secret,id=extra-ca-certificates \
    /build/pip-install --require-hashes --requirement requirements-dev.lock

FROM runtime AS services
COPY container /opt/tutorial/container
COPY --from=seed /run/tutorial/seed.tar.gz /opt/tutorial/
RUN install -m 644 /opt/tutorial/container/bash.bashrc /etc/bash.bashrc \
    && install -m 644 /opt/tutorial/container/bash.bashrc /etc/profile.d/tutorial.sh
USER aiida
WORKDIR /home/aiida
VOLUME /home/aiida
EXPOSE 8888
# The check itself waits where waiting is free, see container/healthcheck.py.
HEALTHCHECK --interval=1s --timeout=60s --start-period=60s --retries=3 \
    CMD ["/opt/tutorial/container/healthcheck.py"]
ENTRYPOINT ["tini", "--", "/opt/tutorial/container/entrypoint"]

FROM services AS tutorial
COPY --from=venv /opt/tutorial/venv /opt/tutorial/venv
COPY --from=venv /opt/tutorial/completion /opt/tutorial/
COPY jupyter /opt/tutorial/jupyter
COPY scripts /opt/tutorial/scripts
COPY tutorial /opt/tutorial/tutorial

FROM tutorial AS test
COPY --from=test-venv /opt/tutorial/venv /opt/tutorial/venv
COPY --chown=aiida:aiida . /src
# The workers of the daemon import the workflows of the tests.
ENV PYTHONPATH=/src

# The last stage is the default.
FROM tutorial
