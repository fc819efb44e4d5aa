#!/usr/bin/env bash
# Delete a TPU: its queued resource, its nodes and their disks. It is billed until then.
#
#   delete.sh [--yes]
#
#   --yes   do not ask for confirmation

set -euo pipefail
# shellcheck source=tpu_scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

switches+=([--yes]='')
parse_options "$@"
refuse_arguments

ask_state state ACTIVE
if [[ -z $state ]]; then
  say "$name: no such queued resource in $zone, nothing to delete"
  exit
fi
if [[ -z ${switches[--yes]}${switches[--dry-run]} ]]; then
  reply=''
  read -r -p "Delete $name ($type, $state) and everything on its disks? [y/N] " reply || true
  [[ $reply == [yY]* ]] ||
    fail "found '$reply', expected y; nothing was deleted (--yes skips this question)"
fi
# Without --force, gcloud refuses while nodes exist.
execute gcloud compute tpus queued-resources delete "$name" --zone="$zone" --force --quiet
ask_state state ''
if [[ $state ]]; then
  echo "error: $name is still $state, expected it to be gone; run delete.sh again" >&2
  exit 1
fi
say "$name is deleted"
