# shellcheck shell=bash
# shellcheck disable=SC2034  # the scripts read many of the variables that are set here
# Shared by the scripts that call gcloud: options, the table of accelerators, and `execute`.

if ((BASH_VERSINFO[0] < 5)); then
  echo "error: found bash $BASH_VERSION, expected 5 or later (macOS: brew install bash)" >&2
  exit 2
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")

# A script adds its own options to these two arrays before it calls parse_options.
declare -A values=(
  [--name]=${TPU_NAME:-} [--zone]=${TPU_ZONE:-} [--type]=${TPU_TYPE:-}
  [--node-count]=${TPU_NODE_COUNT:-1}
)
declare -A switches=([--dry-run]='')
arguments=()

# Report a user error in one line that names the flag, found and expected; exit with 2.
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 2
}

# The comment at the top of a script is its --help.
usage() {
  sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
  cat <<'END'

Options of every script:
  --name NAME         name of the queued resource and its node; or TPU_NAME
  --zone ZONE         for example us-west4-a; or TPU_ZONE
  --type TYPE         a type in tpu_scripts/accelerators.tsv, for example v5e-16; or TPU_TYPE
  --node-count N      number of slices, connected by the data-centre network; or TPU_NODE_COUNT;
                      default 1
  --dry-run           print every command and run none
END
}

# Parse options into `values` and `switches`, and other words and all after `--` into `arguments`.
parse_options() {
  local flag known
  while (($#)); do
    flag=${1%%=*}
    if [[ $1 == --help || $1 == -h ]]; then
      usage
      exit 0
    elif [[ $1 == -- ]]; then
      arguments+=("${@:2}")
      break
    elif [[ $1 != -* ]]; then
      arguments+=("$1")
    elif [[ ${values[$flag]+known} && $1 == *=* ]]; then
      values[$flag]=${1#*=}
    elif [[ ${values[$flag]+known} ]]; then
      (($# > 1)) || fail "$flag: its value is missing"
      values[$flag]=$2
      shift
    elif [[ ${switches[$1]+known} ]]; then
      switches[$1]=yes
    else
      known=$(printf '%s\n' "${!values[@]}" "${!switches[@]}" | sort | paste -sd ' ')
      fail "unknown option $1; expected one of $known"
    fi
    shift
  done
  name=$(given --name TPU_NAME)
  zone=$(given --zone TPU_ZONE)
  type=$(given --type TPU_TYPE)
  [[ $name =~ ^[a-z]([-a-z0-9]*[a-z0-9])?$ ]] ||
    fail "--name: found '$name', expected lower-case letters, digits and '-', a letter first"
  [[ ${values[--node-count]} =~ ^[1-9][0-9]*$ ]] ||
    fail "--node-count: found '${values[--node-count]}', expected a number from 1"
  look_up_type
  name_nodes
}

# Print the value of a required flag, which the flag or its environment variable gives.
given() {
  [[ ${values[$1]} ]] || fail "$1 is missing; give it, or set $2"
  printf '%s' "${values[$1]}"
}

# Set accelerator, runtime, platform and hosts (of one slice) from the row of $type in the table.
look_up_type() {
  local row known=()
  while IFS=$'\t' read -r row accelerator runtime platform _ hosts; do
    [[ $row == "$type" ]] && return
    known+=("$row")
  done <"$here/accelerators.tsv"
  fail "--type: found '$type', expected one of ${known[*]:1} ($here/accelerators.tsv)"
}

# A single node has the name of its queued resource; gcloud numbers several nodes.
name_nodes() {
  local number count=${values[--node-count]}
  nodes=("$name")
  if ((count > 1)); then
    nodes=()
    for ((number = 0; number < count; number++)); do nodes+=("$name-$number"); done
  fi
}

# Set session, for the scripts that have the option.
read_session() {
  session=${values[--session]}
  [[ $session =~ ^[A-Za-z0-9_-]+$ ]] ||
    fail "--session: found '$session', expected letters, digits, '_' and '-'"
}

# For scripts that take only options.
refuse_arguments() {
  ((${#arguments[@]} == 0)) || fail "found '${arguments[0]}', expected options only; see --help"
}

# Run a command; in a dry run, print it instead, ready to paste.
execute() {
  local line
  if [[ ${switches[--dry-run]} ]]; then
    printf -v line ' %q' "$@"
    printf '%s\n' "${line:1}"
  else
    "$@"
  fi
}

# Print a message, except in a dry run, which prints only commands.
say() {
  [[ ${switches[--dry-run]} ]] || printf '%s\n' "$*"
}

# ask VARIABLE ASSUMED COMMAND...: set the variable to the output of the command, or to ASSUMED in
# a dry run.
ask() {
  local -n answer=$1
  if [[ ${switches[--dry-run]} ]]; then
    answer=$2
    execute "${@:3}"
  else
    answer=$("${@:3}")
  fi
}

# ask_state VARIABLE ASSUMED: get the state of the queued resource, empty if there is none. This
# uses list, because describe fails in the same way without the resource and without permission.
ask_state() {
  ask "$1" "$2" gcloud compute tpus queued-resources list --zone="$zone" \
    --filter="name~\"/$name\$\"" --format='value(state.state)'
}

# on_workers NODE WORKER WORDS...: run worker.sh with these words on a worker, or on "all".
# This uses tpu-vm ssh, because queued-resources ssh returns 0 even if it could not reach a node.
on_workers() {
  local words
  printf -v words ' %q' "${@:3}"
  execute gcloud compute tpus tpu-vm ssh "$1" --zone="$zone" --worker="$2" \
    --command="bash mllm/tpu_scripts/worker.sh$words"
}
