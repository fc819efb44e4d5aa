#!/usr/bin/env bash
# Every program that the TPU scripts call, as a test sees it: stub_cloud.py links the names to this file.
# A call is appended to $STUB_FOLDER/calls: program, worker and arguments, each ended by \x1f, then \x1e.
# gcloud's ssh and scp work on folders $STUB_FOLDER/workers/NODE-w-N, the homes of the workers.

program=$(basename "$0")
printf '%s\x1f' "$program" "$HOSTNAME" "$@" >>"$STUB_FOLDER/calls"
printf '\x1e' >>"$STUB_FOLDER/calls"

# The states that a test foresees, one a call; the last one stays.
next_state() {
  local states
  mapfile -t states <"$STUB_FOLDER/states"
  echo "${states[0]}"
  ((${#states[@]} == 1)) || printf '%s\n' "${states[@]:1}" >"$STUB_FOLDER/states"
}

# The homes of the workers of a node that --worker names.
homes() {
  local number
  if [[ $worker == all ]]; then
    for number in 0 1; do echo "$STUB_FOLDER/workers/$1-w-$number"; done
  else
    echo "$STUB_FOLDER/workers/$1-w-$worker"
  fi
}

ssh() {
  local home code=0
  for home in $(homes "$1"); do
    mkdir -p "$home"
    (cd "$home" && HOSTNAME=$(basename "$home") bash -c "$command") || code=$?
  done
  return $code
}

scp() {
  local home
  if [[ $2 == *:* ]]; then
    for home in $(homes "${2%%:*}"); do
      mkdir -p "$home"
      cp -r "$1" "$home/${2#*:}"
    done
  else
    cp -r "$(homes "${1%%:*}")/${1#*:}" "$2"
  fi
}

gcloud() {
  local words=() word worker='' command=''
  for word in "$@"; do
    case $word in
      --worker=*) worker=${word#*=} ;;
      --command=*) command=${word#*=} ;;
      -*) ;;
      *) words+=("$word") ;;
    esac
  done
  case "${words[*]:2:2}" in
    "queued-resources list") next_state ;;
    "tpu-vm describe") printf '%s\tREADY\tHEALTHY\n' "${words[4]}" ;;
    "tpu-vm ssh") ssh "${words[4]}" ;;
    "tpu-vm scp") scp "${words[@]:4}" ;;
  esac
}

# A new session is run to its end at once; one runs on the workers only that a test says.
tmux() {
  if [[ $1 == new-session ]]; then
    "${@:5}" >/dev/null
  else
    [[ $1 != list-panes && -e $STUB_FOLDER/running/$HOSTNAME ]]
  fi
}

python3() {
  if [[ $2 == uv ]]; then
    mkdir -p .venv/bin
    ln -s "$STUB_FOLDER"/bin/{python,pip} .venv/bin/
  fi
}

python() {
  env -0 >"$STUB_FOLDER/environment-$HOSTNAME"
  echo "$HOSTNAME runs $2"
  return "$(<"$STUB_FOLDER/exit_code")"
}

mountpoint() {
  return 1
}

# What has no function here does nothing.
[[ $(type -t "$program") != function ]] || "$program" "$@"
