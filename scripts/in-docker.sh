# shellcheck shell=bash
# The tutorial in Docker; scripts/tutorial reads this, and gives `root`, `say` and `die`.
#
# Each clone has a Compose project and an image of its own, so that none acts on another's
# data, or is made anew for its image. Their name, and the port, stand in .env, where
# `docker compose` finds them when called by hand.

image_log=$root/.tutorial/log/image.log

docker_answers() {
  docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1
}

# The value of a name in .env; nothing where it has none.
remembered() {
  [ ! -f .env ] || sed -n "s/^$1=//p" .env | tail -n 1
}

# What else stands in .env is somebody's own.
lines_of_others() {
  [ ! -f .env ] || grep -vE '^(COMPOSE_PROJECT_NAME|TUTORIAL_IMAGE|PORT)=|^# Made by `make up`' .env || true
}

remember() {
  local others
  others=$(lines_of_others)
  {
    [ -z "$others" ] || say "$others"
    say '# Made by `make up`: the tutorial of this folder, and its port.'
    say "COMPOSE_PROJECT_NAME=$COMPOSE_PROJECT_NAME"
    say "TUTORIAL_IMAGE=$TUTORIAL_IMAGE"
    say "PORT=$PORT"
  } >.env.new && mv .env.new .env || die "The file .env cannot be written in $root."
}

forget() {
  local others
  others=$(lines_of_others)
  if [ -n "$others" ]; then say "$others" >.env; else rm -f .env; fi
}

choose_project() {
  local by_hand checksum
  COMPOSE_PROJECT_NAME=${COMPOSE_PROJECT_NAME:-$(remembered COMPOSE_PROJECT_NAME)}
  if [ -z "$COMPOSE_PROJECT_NAME" ]; then
    # Who began with `docker compose up` in this folder goes on with that one.
    by_hand=$(docker ps --all --quiet \
      --filter label=com.docker.compose.project=aiida-hitl-tutorial \
      --filter "label=com.docker.compose.project.working_dir=$root" 2>/dev/null) || true
    checksum=$(printf %s "$root" | cksum)
    COMPOSE_PROJECT_NAME=aiida-hitl-tutorial
    [ -n "$by_hand" ] || COMPOSE_PROJECT_NAME+=$(printf -- -%08x "${checksum%% *}")
  fi
  export COMPOSE_PROJECT_NAME TUTORIAL_IMAGE=$COMPOSE_PROJECT_NAME
}

# The port that it listens on, or did.
docker_port() {
  local address
  address=$(docker compose port tutorial 8888 2>/dev/null) || address=
  case $address in
    *:[1-9]*) say "${address##*:}" ;;
    *) remembered PORT ;;
  esac
}

# "-T" where nobody types: a terminal cannot be made from a pipe.
inside() {
  local terminal=
  [ -t 0 ] && [ -t 1 ] || terminal=-T
  docker compose exec $terminal tutorial "$@"
}

docker_url() {
  local address token
  address=$(docker compose port tutorial 8888 2>/dev/null) \
    && token=$(docker compose exec -T tutorial cat /home/aiida/.services/jupyter-token 2>/dev/null) \
    || die "The container does not answer. See \`make logs\`; \`make up\` starts it again."
  say "http://$address/?token=$token"
}

has_image() { docker image inspect "$TUTORIAL_IMAGE" >/dev/null 2>&1; }

docker_build() {
  mkdir -p "${image_log%/*}"
  has_image \
    || say "Building the image; the first time takes some minutes. (log: $image_log)"
  docker compose --progress=plain build >"$image_log" 2>&1 && return
  if has_image; then
    say "The image could not be built anew (log: $image_log). Starting the one that is there."
    return
  fi
  tail -n 15 "$image_log" >&2
  if grep -qE 'CERTIFICATE_VERIFY_FAILED|SSLError|certificate signed by unknown' "$image_log"; then
    say "A proxy on the way shows its own certificate. Name your institute's CA bundle:" \
      "EXTRA_CA_CERTIFICATES=/path/to/bundle.pem make up" >&2
  fi
  die "The image could not be built. All that Docker said is in $image_log"
}

docker_up() {
  remember
  docker_build
  if ! docker compose --progress=plain up --no-build --wait --detach >>"$image_log" 2>&1; then
    tail -n 5 "$image_log" >&2
    docker compose logs --no-log-prefix --tail 15 tutorial >&2 || true
    die "The container did not become healthy. More: make logs"
  fi
  say "The tutorial is running in Docker (PostgreSQL and RabbitMQ). Open:"
  docker_url
}

docker_down() {
  docker compose --progress=plain down >/dev/null 2>&1 \
    || die "docker compose down failed. Run it to see why."
  say "The tutorial is stopped; its data is kept. \`make up\` goes on from here."
}

# What the container said, and the ends of the services' own logs where it runs.
docker_logs() {
  # Compose begins each line by erasing it, in a file too.
  docker compose --ansi=never logs --no-log-prefix --tail 200 | sed $'s/\033\\[2K//'
  docker compose exec -T tutorial bash -c '
    for log in ~/.services/log/*.log ~/.aiida/daemon/log/*.log; do
      [ -s "$log" ] && printf -- "--- %s\n" "$log" && tail -n 20 "$log"
    done' 2>/dev/null || true
}

docker_profile() {
  local shown
  shown=$(inside verdi -p tutorial status 2>&1) || die "$shown"
  say "$shown"
  case $shown in
    *RabbitMQ*) ;;
    *) die "The profile in the image does not use RabbitMQ, and should." ;;
  esac
}

docker_reset() {
  inside python3 /opt/tutorial/scripts/deliver-tutorial.py \
    /opt/tutorial/tutorial /home/aiida/tutorial --reset
  say "The pages in /home/aiida/tutorial are fresh."
}

docker_clean() {
  docker compose --progress=plain down --volumes --remove-orphans >/dev/null 2>&1 \
    || die "docker compose down failed. Run it to see why; nothing was removed."
  forget
  docker image rm "$TUTORIAL_IMAGE" >/dev/null 2>&1 || true
}
