#!/usr/bin/env bash
# Convert the trained example, show that the Hugging Face model predicts as well as the one that was trained, and
# prove that it is the same one. Writes only below ./demo-out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

example=examples/az-mini
checkpoint=$example/az_llm_mini_final.pt
out=demo-out/az-mini

run() {
  printf '\n$ %s\n' "$*"
  "$@"
}

run ckpt2hf convert "$checkpoint" -o "$out" --dialect az-course --set 'attention_scale=head_dim**-0.5' --force

trained=$(awk -F '[:,]' '/"heldout"/ { print $2 + 0 }' "$example/losses.json")
converted=$(run ckpt2hf eval "$out" --tokens "$example/heldout.npy" | tee >(cat >&2) | awk '$1 == "loss" { print $2 }')
printf '\nheld-out loss: trained model %s, converted model %s nats per token\n' "$trained" "$converted"
# The rounding of another order of sums; any wrong tensor costs tenths.
awk -v a="$trained" -v b="$converted" 'BEGIN { exit !(a - b < 1e-3 && b - a < 1e-3) }'

run ckpt2hf generate "$out" 'Bu gün hava' 'The cow eats' 'Yanvar' --max-new-tokens 14
run ckpt2hf verify "$out" --against "$checkpoint"
