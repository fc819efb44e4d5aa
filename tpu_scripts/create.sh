#!/usr/bin/env bash
# Request a TPU as a queued resource.
#
#   create.sh [--spot | --reserved] [--wait]
#
#   --spot       a cheaper TPU that can be preempted at any time
#   --reserved   use a reservation of the project
#   --wait       return when the TPU is active, which may take minutes or days
#
# An existing TPU or request of that name is left unchanged.

set -euo pipefail
# shellcheck source=tpu_scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

switches+=([--spot]='' [--reserved]='' [--wait]='')
parse_options "$@"
refuse_arguments
[[ ${switches[--spot]} && ${switches[--reserved]} ]] &&
  fail "--spot and --reserved: expected one of them"

refuse_lost() {
  case $1 in
    FAILED | SUSPENDING | SUSPENDED | DELETING)
      printf 'error: %s is %s, expected WAITING_FOR_RESOURCES, PROVISIONING or ACTIVE: %s\n' \
        "$name" "$1" "run delete.sh, then create.sh again" >&2
      exit 1
      ;;
  esac
}

ask_state state ''
refuse_lost "$state"
if [[ $state ]]; then
  say "$name already exists: $state"
else
  request=(
    gcloud compute tpus queued-resources create "$name" --zone="$zone"
    --accelerator-type="$accelerator" --runtime-version="$runtime"
  )
  if ((${#nodes[@]} == 1)); then
    request+=(--node-id="$name")
  else
    request+=(--node-count="${#nodes[@]}" --node-prefix="$name")
  fi
  [[ ${switches[--spot]} ]] && request+=(--spot)
  [[ ${switches[--reserved]} ]] && request+=(--reserved)
  execute "${request[@]}"
fi

if [[ ${switches[--wait]} ]]; then
  previous=''
  while true; do
    ask_state state ACTIVE
    refuse_lost "$state"
    [[ $state == ACTIVE ]] && break
    [[ $state == "$previous" ]] || say "$name: ${state:-accepted}"
    previous=$state
    sleep 30
  done
fi
