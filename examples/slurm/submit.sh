#!/bin/bash
# The whole pipeline on a SLURM cluster: what the languages share, the photos in shards, an array job with a task for
# each language, and the rest. Start it in the clone on the shared file system that is to hold the results:
#
#   bash examples/slurm/submit.sh [SHARDS [STAGE ...]]
#
# SHARDS: how many jobs encode the photos (4). STAGE: what the last job brings up to date (everything).
set -euo pipefail
cd "$(git rev-parse --show-toplevel)"
export PATH="$PWD/.venv/bin:$PATH"
count=${1:-4}
shift $(($# > 0))

profile=$(sed -nE 's/^profile: *([a-z]+).*/\1/p' params.yaml)
mapfile -t stages < <(dvc stage list --name-only)
named() { printf '%s\n' "${stages[@]}" | grep -E "^($1)@$profile(-|$)"; }
mapfile -t before < <(named 'prepare|backbones')
mapfile -t shared < <(named 'encode_images|embed_english')
mapfile -t languages < <(named clseave | cut -d- -f2 | sort -u)

mkdir -p .work/logs
submit() { sbatch --parsable "$@"; }
one=$(submit examples/slurm/stages.sbatch "${before[@]}")
two=$(submit --dependency="afterok:$one" --array="1-$count" examples/slurm/shards.sbatch "encode_images@$profile")
# afterany: what a shard left undone is done by the stage itself.
three=$(submit --dependency="afterany:$two" examples/slurm/stages.sbatch "${shared[@]}")
four=$(submit --dependency="afterok:$three" --array="1-${#languages[@]}" examples/slurm/languages.sbatch "${languages[@]}")
five=$(submit --dependency="afterany:$four" examples/slurm/stages.sbatch "$@")
echo "jobs $one $two $three $four $five; their output: .work/logs/slurm-*.txt"
