#!/usr/bin/env bash
# Fetch the logs of every worker, and folders of runs.
#
#   fetch.sh [--to DIR] [--session mllm] [runs/x ...] [gs://B/x ...]
#
#   --to DIR   destination: DIR/logs/SESSION/WORKER.log, DIR/runs/x; default: the current folder
#
# runs/x is copied from worker 0, gs://B/x from the bucket.

set -euo pipefail
# shellcheck source=tpu_scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

values+=([--session]=mllm [--to]=.)
parse_options "$@"
read_session
to=${values[--to]}
for folder in "${arguments[@]}"; do
  [[ $folder == gs://?*/?* || ($folder != /* && $folder != *..* && $folder != *:*) ]] ||
    fail "found '$folder', expected a folder of the checkout such as runs/x, or gs://BUCKET/FOLDER"
done

execute mkdir -p "$to/logs"
for node in "${nodes[@]}"; do
  for ((worker = 0; worker < hosts; worker++)); do
    execute gcloud compute tpus tpu-vm scp --recurse "$node:mllm/logs/$session" "$to/logs/" \
      --zone="$zone" --worker="$worker"
  done
done
for folder in "${arguments[@]%/}"; do
  if [[ $folder == gs://* ]]; then
    execute gcloud storage cp --recursive "$folder" "$to/"
  else
    parent=$to/$(dirname "$folder")
    execute mkdir -p "$parent"
    execute gcloud compute tpus tpu-vm scp --recurse "${nodes[0]}:mllm/$folder" "$parent/" \
      --zone="$zone" --worker=0
  fi
done
