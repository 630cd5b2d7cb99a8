#!/usr/bin/env bash
# Trains the embedded pair side by side, one core each, in about ten hours; if stopped, the same command resumes.
#
#     weights/train.sh CORPUS RUNS
#
# CORPUS has a MANIFEST.tsv that names the books and their split (train or val). RUNS gets a folder for each stage, 1, 2
# and so on, and in it one for each model. A stage begins with the parameters that the stage before ended with.
set -euo pipefail
corpus=$1 runs=$2

books() {
    awk -F '\t' -v wanted="$1" -v folder="$corpus/" '
        NR == 1 { for (n = 1; n <= NF; n++) column[$n] = n }
        $column["split"] == wanted { print folder $column["file"] }' "$corpus/MANIFEST.tsv"
}
mapfile -t texts < <(books train)
mapfile -t held_out < <(books val | sed 's/^/--validation=/')

export OPENBLAS_NUM_THREADS=1
stage() {
    local number=$1 name pid processes=()
    mkdir -p "$runs/$number"
    for name in nano-gpt2 nano-gpt3; do
        local from=(--config "$name")
        ((number == 1)) || from=(--init "$runs/$((number - 1))/$name")
        gptcompare train "${texts[@]}" "${held_out[@]}" "${from[@]}" --out "$runs/$number/$name" \
            --seed $((number - 1)) --optimizer muon --learning-rate 0.003 --warmup-steps 50 --save-every 50 "${@:2}" \
            2> "$runs/$number/$name.log" &
        processes+=($!)
    done
    for pid in "${processes[@]}"; do wait "$pid"; done
}

stage 1 --steps 1000 --batch 32 --context 128 --final-learning-rate 1
stage 2 --steps 400 --batch 8 --context 512 --final-learning-rate 0.02
stage 3 --steps 1400 --batch 8 --context 512 --final-learning-rate 0.02
stage 4 --steps 4530 --batch 8 --context 512 --final-learning-rate 0.02 --validate-every 200
