# shellcheck shell=bash
# shellcheck disable=SC2034  # much of what is set here is read by the scripts
# What the scripts that talk to gcloud share: options, the table of accelerators, and `execute`.

if ((BASH_VERSINFO[0] < 5)); then
  echo "error: found bash $BASH_VERSION, expected 5 or later (macOS: brew install bash)" >&2
  exit 2
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")

# A script adds its own options to these two before it calls parse_options.
declare -A values=(
  [--name]=${TPU_NAME:-} [--zone]=${TPU_ZONE:-} [--type]=${TPU_TYPE:-}
  [--node-count]=${TPU_NODE_COUNT:-1}
)
declare -A switches=([--dry-run]='')
arguments=()

# Mistakes of the user, in a line that names the flag, what was found and what is expected: exit 2.
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 2
}

# The comment on top of a script is its --help.
usage() {
  sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
  cat <<'END'

Options of every script:
  --name NAME         of the queued resource and its node; or TPU_NAME
  --zone ZONE         for example us-west4-a; or TPU_ZONE
  --type TYPE         a row of tpu_scripts/accelerators.tsv, for example v5e-16; or TPU_TYPE
  --node-count N      slices, joined over the data-centre network; or TPU_NODE_COUNT; 1 unless given
  --dry-run           print every command and run none
END
}

# Read options into `values` and `switches`, and what follows them or `--` into `arguments`.
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

# The value of a flag that must be given, by itself or by the variable of the environment.
given() {
  [[ ${values[$1]} ]] || fail "$1 is missing; give it, or set $2"
  printf '%s' "${values[$1]}"
}

# Set accelerator, runtime, platform and hosts (of one slice) from the table's row of $type.
look_up_type() {
  local row known=()
  while IFS=$'\t' read -r row accelerator runtime platform _ hosts; do
    [[ $row == "$type" ]] && return
    known+=("$row")
  done <"$here/accelerators.tsv"
  fail "--type: found '$type', expected one of ${known[*]:1} ($here/accelerators.tsv)"
}

# One node has the name of its queued resource; of several, gcloud puts a number behind each.
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

# Scripts that take options only.
refuse_arguments() {
  ((${#arguments[@]} == 0)) || fail "found '${arguments[0]}', expected options only; see --help"
}

# Run a command; in a dry run print it instead, as one would type it.
execute() {
  local line
  if [[ ${switches[--dry-run]} ]]; then
    printf -v line ' %q' "$@"
    printf '%s\n' "${line:1}"
  else
    "$@"
  fi
}

# Tell something that is no command, so not in a dry run.
say() {
  [[ ${switches[--dry-run]} ]] || printf '%s\n' "$*"
}

# ask VARIABLE ASSUMED COMMAND...: the variable gets what the command prints, in a dry run ASSUMED.
ask() {
  local -n answer=$1
  if [[ ${switches[--dry-run]} ]]; then
    answer=$2
    execute "${@:3}"
  else
    answer=$("${@:3}")
  fi
}

# ask_state VARIABLE ASSUMED: the state of the queued resource, empty where there is none. A list,
# because describe fails alike where nothing is there and where one may not look.
ask_state() {
  ask "$1" "$2" gcloud compute tpus queued-resources list --zone="$zone" \
    --filter="name~\"/$name\$\"" --format='value(state.state)'
}

# on_workers NODE WORKER WORDS...: run worker.sh there with these words; WORKER may be "all".
# tpu-vm ssh, because queued-resources ssh ends with 0 where it could not reach a node.
on_workers() {
  local words
  printf -v words ' %q' "${@:3}"
  execute gcloud compute tpus tpu-vm ssh "$1" --zone="$zone" --worker="$2" \
    --command="bash mllm/tpu_scripts/worker.sh$words"
}
