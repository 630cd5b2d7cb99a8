#!/usr/bin/env bash
# Trains the embedded pair side by side, one core each, in about two hours; if stopped, the same command resumes.
#
#     weights/train.sh CORPUS RUNS
#
# CORPUS has a MANIFEST.tsv that names the books and their split (train or val), RUNS gets a folder for each model.
set -euo pipefail
corpus=$1 runs=$2

books() {
    awk -F '\t' -v wanted="$1" -v folder="$corpus/" '
        NR == 1 { for (n = 1; n <= NF; n++) column[$n] = n }
        $column["split"] == wanted { print folder $column["file"] }' "$corpus/MANIFEST.tsv"
}
mapfile -t texts < <(books train)
mapfile -t held_out < <(books val | sed 's/^/--validation=/')

mkdir -p "$runs"
export OPENBLAS_NUM_THREADS=1
for name in nano-gpt2 nano-gpt3; do
    gptcompare train "${texts[@]}" "${held_out[@]}" --config $name --out "$runs/$name" \
        --steps 8000 --batch 4 --warmup-steps 400 --validate-every 500 --save-every 100 2> "$runs/$name.log" &
done
wait
