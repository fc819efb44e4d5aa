#!/usr/bin/env bash
# Start a command on every worker of a TPU, in tmux: it continues when this terminal closes.
#
#   run.sh [--wait] -- python -m experiments.unlearn --config C --workdir runs/x/npo
#   run.sh --attach | --stop
#
#   --wait           follow the log of worker 0, and return its exit code
#   --attach         do the same for a command that is already running
#   --stop           stop the command on every worker
#   --session NAME   name of the tmux session and of the folder of logs; default mllm
#
# The environment comes from tpu_scripts/flags/. After a preemption, run the same command again.

set -euo pipefail
# shellcheck source=tpu_scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

values+=([--session]=mllm)
switches+=([--wait]='' [--attach]='' [--stop]='')
parse_options "$@"
read_session

check_command() {
  local verbs word
  verbs=$(cd "$root/experiments" && grep -l '^if __name__ == "__main__":' -- *.py)
  verbs=${verbs//.py/} verbs=${verbs//$'\n'/ }
  [[ ${arguments[*]:0:2} == "python -m" && ${arguments[2]:-} == experiments.* ]] ||
    fail "found '${arguments[*]}', expected -- python -m experiments.VERB ..., VERB one of $verbs"
  [[ " $verbs " == *" ${arguments[2]#experiments.} "* ]] ||
    fail "${arguments[2]}: unknown, expected experiments.VERB, VERB one of $verbs"
  for word in "${arguments[@]:3}"; do
    # The command would refuse it, but on every worker.
    [[ $word != *gs://* ]] ||
      fail "found '$word', expected a folder below runs/, where setup.sh --bucket mounts the bucket"
  done
}

[[ ${switches[--attach]} && ${switches[--stop]} ]] &&
  fail "--attach and --stop: expected one of them"
if [[ ${switches[--attach]}${switches[--stop]} ]]; then
  ((${#arguments[@]} == 0)) ||
    fail "found '${arguments[*]}' with --attach or --stop, expected no command"
else
  check_command
  # Check all workers before starting any: half a session would wait for the other half.
  for node in "${nodes[@]}"; do on_workers "$node" all idle "$session"; done
  for node in "${nodes[@]}"; do
    on_workers "$node" all start "$session" "$platform" "${arguments[@]}"
  done
fi

if [[ ${switches[--stop]} ]]; then
  for node in "${nodes[@]}"; do on_workers "$node" all stop "$session"; done
elif [[ ${switches[--wait]}${switches[--attach]} ]]; then
  on_workers "${nodes[0]}" 0 follow "$session"
fi
