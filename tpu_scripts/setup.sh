#!/usr/bin/env bash
# Install the code and its environment on every worker of a TPU.
#
#   setup.sh [--bucket gs://B] [--repo URL [--revision R]]
#
#   --bucket gs://B   mount the bucket as runs/ on every worker: needed for several hosts, which
#                     must see the same checkpoints, and for a spot TPU, which loses its disks
#   --repo URL        fetch the code from this repository instead of sending HEAD of this checkout
#   --revision R      revision of the repository; default HEAD
#
# Run it again after a commit: the workers get the new revision and keep their packages.

set -euo pipefail
# shellcheck source=tpu_scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

values+=([--bucket]='' [--repo]='' [--revision]=HEAD)
parse_options "$@"
refuse_arguments
bucket=${values[--bucket]} repository=${values[--repo]} revision=${values[--revision]}
[[ -z $bucket || $bucket =~ ^gs://[^/]+$ ]] ||
  fail "--bucket: found '$bucket', expected gs://BUCKET"
[[ $repository || $revision == HEAD ]] ||
  fail "--revision: found '$revision' without --repo; HEAD of this checkout is sent"

if [[ -z $repository ]]; then
  # A bundle rather than an archive, so that results can name their revision.
  bundle=${TMPDIR:-/tmp}/$name.bundle
  ask changes '' git -C "$root" status --porcelain
  [[ $changes ]] && echo "note: uncommitted changes stay here; the workers get HEAD" >&2
  execute git -C "$root" bundle create --quiet "$bundle" HEAD
  for node in "${nodes[@]}"; do
    execute gcloud compute tpus tpu-vm scp "$bundle" "$node:mllm.bundle" --zone="$zone" --worker=all
  done
  execute rm -f "$bundle"
  repository=../mllm.bundle # as seen from the worker's mllm/
fi

printf -v fetch 'git -C mllm fetch -q %q %q' "$repository" "$revision"
printf -v install 'bash mllm/tpu_scripts/worker.sh install %q' "$bucket"
for node in "${nodes[@]}"; do
  execute gcloud compute tpus tpu-vm ssh "$node" --zone="$zone" --worker=all \
    --command="git init -q mllm && $fetch && git -C mllm checkout -q --force FETCH_HEAD && $install"
done
