#!/usr/bin/env bash
# The part that runs on a worker of a TPU; the other scripts call it through ssh.
#
#   worker.sh install [gs://B]                  install packages, and mount the bucket as runs/
#   worker.sh idle SESSION                      fail if the session is running
#   worker.sh start SESSION PLATFORM COMMAND    start the command in tmux, with flags/PLATFORM.env
#   worker.sh follow SESSION                    print the log until the end; return the exit code
#   worker.sh report SESSION LINES              print the session's state and the end of its log
#   worker.sh stop SESSION                      stop the session

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# fail CODE MESSAGE
fail() {
  echo "error: $HOSTNAME: $2" >&2
  exit "$1"
}

is_running() {
  tmux has-session -t "=$1" 2>/dev/null
}

# Set log and exit_file of a session; their names differ between workers.
name_files() {
  log=logs/$1/$HOSTNAME.log
  exit_file=logs/$1/$HOSTNAME.exit
}

install() {
  local requirement
  requirement=$(sed -n 's/^jax\([<>=~].*\)$/jax[tpu]\1/p' requirements.txt)
  [[ $requirement ]] || fail 2 "requirements.txt: found no line jax>=..., expected one"
  command -v tmux >/dev/null || sudo apt-get -o DPkg::Lock::Timeout=300 install -y tmux
  if [[ ! -x .venv/bin/python ]]; then
    # Ubuntu 22.04 has Python 3.10, which is too old; uv installs another. Newer images need the
    # variable.
    PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --quiet --user uv
    python3 -m uv venv --quiet --seed --python 3.12 .venv
  fi
  .venv/bin/pip install --quiet -r requirements.txt "$requirement"
  [[ -z ${1:-} ]] || mount_bucket "${1#gs://}"
}

mount_bucket() {
  mountpoint -q runs && return
  command -v gcsfuse >/dev/null || install_gcsfuse
  mkdir -p runs
  # No cache, because other hosts read what one has just written.
  gcsfuse --metadata-cache-ttl-secs=0 "$1" runs
}

# https://cloud.google.com/storage/docs/cloud-storage-fuse/install
install_gcsfuse() {
  local key=/usr/share/keyrings/cloud.google.asc packages=https://packages.cloud.google.com/apt
  curl -fsS "$packages/doc/apt-key.gpg" | sudo tee "$key" >/dev/null
  echo "deb [signed-by=$key] $packages gcsfuse-$(lsb_release -cs) main" |
    sudo tee /etc/apt/sources.list.d/gcsfuse.list >/dev/null
  sudo apt-get -o DPkg::Lock::Timeout=300 update
  sudo apt-get -o DPkg::Lock::Timeout=300 install -y gcsfuse
}

idle() {
  if is_running "$1"; then
    fail 1 "session $1 runs, expected none: follow it with run.sh --attach, or end it with --stop"
  fi
}

start() {
  local session=$1
  idle "$session"
  name_files "$session"
  mkdir -p "logs/$session"
  rm -f "$exit_file"
  : >"$log"
  # tmux runs several words directly, without another shell.
  tmux new-session -d -s "$session" bash tpu_scripts/worker.sh execute "$@"
}

# Runs in tmux. PYTHONUNBUFFERED, because Python buffers its output to a pipe.
execute() {
  local code=0
  name_files "$1"
  set -a
  # shellcheck source=/dev/null
  source "tpu_scripts/flags/$2.env"
  set +a
  export PYTHONUNBUFFERED=1 PATH=$PWD/.venv/bin:$PATH
  "${@:3}" 2>&1 | tee -a "$log" || code=${PIPESTATUS[0]}
  echo "$code" >"$exit_file"
}

follow() {
  local process
  name_files "$1"
  [[ -f $log ]] || fail 2 "$log: no such file; no session $1 was started"
  if process=$(tmux list-panes -t "=$1:" -F '#{pane_pid}' 2>/dev/null); then
    tail -n +1 -f --pid="$process" "$log"
  else
    cat "$log"
  fi
  [[ -f $exit_file ]] || fail 1 "session $1 was stopped"
  exit "$(<"$exit_file")"
}

report() {
  local state='was not started'
  name_files "$1"
  if is_running "$1"; then
    state=runs
  elif [[ -f $exit_file ]]; then
    state="ended with exit code $(<"$exit_file")"
  elif [[ -f $log ]]; then
    state='was stopped'
  fi
  echo "$HOSTNAME: session $1 $state"
  [[ ! -f $log ]] || tail -n "$2" "$log" | sed "s/^/$HOSTNAME| /"
}

stop() {
  ! is_running "$1" || tmux kill-session -t "=$1"
}

"$@"
