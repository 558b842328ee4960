#!/usr/bin/env bash
# A folder of checkpoints as a Slurm array job: each task takes its share.
#
#   sbatch docker/slurm-array.sh IN OUT [options of `ckpt2hf batch`]
#   sbatch --array=1-16 --mem=16G docker/slurm-array.sh IN OUT
#
# CKPT2HF_SIF names an image file for Apptainer or Singularity (`apptainer build ckpt2hf.sif docker-daemon:ckpt2hf:cpu`);
# without one, the ckpt2hf on PATH runs. The array begins at 1. To run some of its tasks again, say how many shares
# there were: CKPT2HF_SHARDS=16 sbatch --array=3,7 docker/slurm-array.sh IN OUT
#
#SBATCH --job-name=ckpt2hf
#SBATCH --array=1-4
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=04:00:00
#SBATCH --output=ckpt2hf-%A_%a.log
# A minute before the time is up, so that what is unfinished can be removed.
#SBATCH --signal=B:TERM@60
set -euo pipefail

usage='usage: sbatch docker/slurm-array.sh IN OUT [options of ckpt2hf batch]'
in=${1:?$usage}
out=${2:?$usage}
shift 2
share=${SLURM_ARRAY_TASK_ID:?$usage}
shares=${CKPT2HF_SHARDS:-${SLURM_ARRAY_TASK_MAX:?$usage}}
if ((share < 1 || share > shares)); then
  echo "share $share of $shares: the array has to begin at 1, and CKPT2HF_SHARDS is its largest number" >&2
  exit 2
fi

mkdir -p "$out"
in=$(realpath "$in")
out=$(realpath "$out")
command=(ckpt2hf)
if [[ -n ${CKPT2HF_SIF:-} ]]; then
  engine=$(command -v apptainer || command -v singularity) || {
    echo 'neither apptainer nor singularity is on PATH' >&2
    exit 2
  }
  # No folder of the host but these two, no network, no privileges to gain.
  command=("$engine" run --containall --no-home --net --network none --no-privs
    --bind "$in:/in:ro" --bind "$out:/out" "$CKPT2HF_SIF")
  in=/in
  out=/out
fi

# Slurm counts processors for us; threads of NumPy and torch go by this number.
export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
"${command[@]}" batch "$in" -o "$out" --shard "$share/$shares" "$@" &
child=$!
# Slurm tells this shell alone (`B:`); the shell tells ckpt2hf, and waits until it has cleaned up.
trap 'kill -TERM "$child"' TERM INT
code=0
wait "$child" || code=$?
while kill -0 "$child" 2>/dev/null; do
  code=0
  wait "$child" || code=$?
done
exit "$code"
