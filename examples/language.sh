#!/bin/bash
# All stages of one language in a clone of its own, as DVC lets one process at a time work in a clone. Called in the
# clone that is to hold the results, after what the languages share is there:
#
#   bash examples/language.sh de & bash examples/language.sh nl & wait; dvc repro
#
# All clones use the cache of the one from which this is called, whose next `dvc repro` takes from there what was made.
# CLONES names their folder: on the file system of the cache, and kept, so that what is started again goes on from its
# checkpoint.
set -euo pipefail
root=$PWD
language=${1:?which language?}
export PATH="$root/.venv/bin:$PATH"
profile=$(sed -nE 's/^profile: *([a-z]+).*/\1/p' params.yaml)
clone=${CLONES:-$root/.work/clones}/$profile-$language

# The same commit, what was changed since (params.yaml, dvc.lock), and what git would hold that is new, such as counts.
if ! [ -d "$clone" ]; then
  rm -rf "$clone.new"
  git clone --quiet "$root" "$clone.new"
  mv "$clone.new" "$clone"
fi
git -C "$clone" fetch --quiet origin HEAD
git -C "$clone" reset --quiet --hard FETCH_HEAD
git diff --binary HEAD | git -C "$clone" apply --allow-empty
git ls-files -z --others --exclude-standard | tar --create --null --files-from=- | tar --extract --directory="$clone"

# One cache for all; a file lies there once, and in the clones as a link where the file system can.
if [ -f .dvc/config.local ]; then cp .dvc/config.local "$clone/.dvc/"; fi
dvc --cd "$clone" config --local cache.dir "$(dvc cache dir)"
dvc --cd "$clone" config --local cache.type reflink,hardlink,copy

# What git does not hold: the user's files, downloads, and the answers of translation services.
mkdir -p .translations
for folder in "data/$profile/source" models/local .downloads .translations; do
  if [ -e "$folder" ]; then
    mkdir -p "$(dirname "$clone/$folder")"
    ln -sfn "$root/$folder" "$clone/$folder"
  fi
done

cd "$clone"
dvc checkout --quiet --allow-missing  # what the languages share
mapfile -t stages < <(dvc stage list --name-only | grep -E "@$profile-$language(-|$)")
exec dvc repro "${stages[@]}"
