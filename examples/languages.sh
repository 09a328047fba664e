#!/bin/bash
# All languages on one machine with several GPUs, a language on each; with fewer GPUs than languages they take turns.
#
#   bash examples/languages.sh GPUS [STAGE ...]
#
# STAGE: what is brought up to date in the end (everything). Each language works in a clone of its own (language.sh) and
# writes to .work/logs/LANGUAGE.txt.
set -euo pipefail
cd "$(git rev-parse --show-toplevel)"
export PATH="$PWD/.venv/bin:$PATH"
gpus=${1:?how many GPUs?}
shift
mkdir -p .work/logs

profile=$(sed -nE 's/^profile: *([a-z]+).*/\1/p' params.yaml)
mapfile -t stages < <(dvc stage list --name-only)
named() { printf '%s\n' "${stages[@]}" | grep -E "^($1)@$profile(-|$)"; }
mapfile -t shared < <(named 'encode_images|embed_english')
mapfile -t languages < <(named clseave | cut -d- -f2 | sort -u)
dvc repro "${shared[@]}"

# One line of languages for each GPU. A language that fails does not stop the others: the last command says so.
for ((gpu = 0; gpu < gpus; gpu++)); do
  for ((turn = gpu; turn < ${#languages[@]}; turn += gpus)); do
    language=${languages[turn]}
    CUDA_VISIBLE_DEVICES=$gpu bash examples/language.sh "$language" > ".work/logs/$language.txt" 2>&1 || true
  done &
done
wait
dvc repro "$@"
