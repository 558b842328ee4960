#!/usr/bin/env bash
# Builds the container image and says how large it is: `bash scripts/image.sh cpu|cuda`.
#
# From the environment, all optional: IMAGE (its name without a tag), and the build arguments BASE_IMAGE, TORCH,
# TORCH_INDEX, CUDA_TORCH, CUDA_TORCH_INDEX, SOURCE. Where no engine runs, scripts/docker-engine.sh sees to one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=${1:?cpu or cuda}
tag=${IMAGE:-ckpt2hf}:$target
engine=$(bash scripts/docker-engine.sh up)
eval "$engine"
docker=${DOCKER:-docker}

# The time of the commit, not of the build: the same commit gives the same labels.
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' src/ckpt2hf/__init__.py)
arguments=(--build-arg "VERSION=$version")
if revision=$(git describe --always --abbrev=40 --exclude '*' --dirty 2>/dev/null); then
  arguments+=(--build-arg "REVISION=$revision" --build-arg "CREATED=$(git log -1 --format=%cI)")
fi
for name in BASE_IMAGE TORCH TORCH_INDEX CUDA_TORCH CUDA_TORCH_INDEX SOURCE; do
  if [[ -n ${!name:-} ]]; then arguments+=(--build-arg "$name=${!name}"); fi
done

# shellcheck disable=SC2086  # flags for the engine are several words
"$docker" build ${DOCKER_BUILD_FLAGS:-} --file docker/Dockerfile --target "$target" --tag "$tag" "${arguments[@]}" .

# Megabytes of everything, and of what lies on top of the base image: our layers down to the first, which has Python.
all=$("$docker" image inspect --format '{{.Size}}' "$tag")
ours=$("$docker" history --no-trunc --human=false --format '{{.Size}} {{.CreatedBy}}' "$tag" |
  awk '!base { sum += $1 } /install .* libgomp1 / { base = 1 } END { printf "%.0f", sum }')
printf '%s: %d MB, %d MB of them on top of the base image\n' "$tag" $((all / 1000000)) $((ours / 1000000))
