#!/usr/bin/env bash
# Print the state of a TPU, and for each worker the state of the session and the end of its log.
#
#   status.sh [--session mllm] [--lines 5]

set -euo pipefail
# shellcheck source=tpu_scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

values+=([--session]=mllm [--lines]=5)
parse_options "$@"
read_session
refuse_arguments
[[ ${values[--lines]} =~ ^[0-9]+$ ]] ||
  fail "--lines: found '${values[--lines]}', expected a number"

ask_state state ACTIVE
say "$name: ${state:-no such queued resource in $zone}"
if [[ $state == ACTIVE ]]; then
  for node in "${nodes[@]}"; do
    execute gcloud compute tpus tpu-vm describe "$node" --zone="$zone" \
      --format='value(name.basename(),state,health)'
    on_workers "$node" all report "$session" "${values[--lines]}"
  done
fi
