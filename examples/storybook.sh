#!/usr/bin/env bash
# The whole story of the shipped weights, in order: the judge, the tokenizer, the transformer, CLIP, the measure.
# Two cores take about four hours; every training command goes on with --resume (the judge by itself).
#   bash examples/storybook.sh [FOLDER]        default: runs
set -euo pipefail
runs="${1:-runs}"
painter="$runs/painter"

# What judges pictures, learned from drawn scenes alone.
python -m limner.storybook.judge.train "$runs/judge" --steps 2500

# Pictures as 8 x 8 codes.
limner train dvae --recipe dvae_storybook --out "$runs/dvae" --resume

# Captions as codes.
limner train dalle --recipe dalle_storybook --dvae "$runs/dvae" --out "$runs/dalle" --resume

# Pictures and captions as vectors; then the same among near misses.
limner train clip --recipe clip_storybook --out "$runs/clip" --resume
limner train clip --recipe clip_storybook_near --init "$runs/clip/model" --out "$runs/clip_near" --resume

# A painter's folder holds the three.
mkdir -p "$painter"
limner export "$runs/dvae" "$painter/dvae" --half
limner export "$runs/dalle" "$painter/dalle" --half
limner export "$runs/clip_near" "$painter/clip" --half

# How it draws unless told otherwise: guidance and temperature that drew most right pictures.
python - "$painter/dalle/config.json" <<'PYTHON'
import json, sys
config = json.load(open(sys.argv[1]))
config["facts"]["sampling"] = {"temperature": 0.7, "guidance": 2.0}
json.dump(config, open(sys.argv[1], "w"), indent=2, ensure_ascii=False)
PYTHON

# What it can.
limner evaluate composition --calibrate --model "$painter"
limner evaluate composition --model "$painter" --prompts-per-task 50 --candidates 16 --out "$runs/report"
limner evaluate captions --model "$painter"
