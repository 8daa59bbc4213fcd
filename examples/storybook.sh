#!/usr/bin/env bash
# The whole story of the shipped weights, in order: the judge, the tokenizer, the transformer, CLIP, the measure.
# Two cores with AMX take about TIME_ALL; every training command goes on with --resume (the judge by itself).
#   bash examples/storybook.sh DATA [FOLDER]        DATA holds emoji/*.tar.gz; default FOLDER: runs
set -euo pipefail
emoji="$1/emoji"
runs="${2:-runs}"
painter="$runs/painter"
# Drawn scenes and three designs of emoji; OpenMoji stays out, as the design that no model has seen.
data="storybook*8,$emoji/noto-*.tar.gz*1,$emoji/twemoji-*.tar.gz*1,$emoji/fluent-*.tar.gz*1"
half="storybook*3,$emoji/noto-*.tar.gz*1,$emoji/twemoji-*.tar.gz*1,$emoji/fluent-*.tar.gz*1"
scenes="storybook*24,$emoji/noto-*.tar.gz*1,$emoji/twemoji-*.tar.gz*1,$emoji/fluent-*.tar.gz*1"

# What judges pictures, learned from drawn scenes alone; then the same again, its finder by itself, and both at a low rate.
judge="python -m limner.storybook.judge.train --minutes 600"
$judge "$runs/judge" --steps 3200
$judge "$runs/judge_on" --steps 1500 --init "$runs/judge/judge.safetensors"
$judge "$runs/judge_finder" --steps 500 --init "$runs/judge_on/judge.safetensors" --seed 2 --finder-alone
$judge "$runs/judge_found" --steps 1000 --init "$runs/judge_finder/judge.safetensors" --seed 3 --finder-alone
$judge "$runs/judge_end" --steps 450 --init "$runs/judge_found/judge.safetensors" --seed 5 --rate 1e-3
python -m limner.storybook.judge.fit "$runs/judge_end" "$runs/judge.safetensors"

# Pictures as 16 x 16 codes. What ships began from a decoder that had learned with convolutions before it (docs/learning.md).
limner train dvae --recipe dvae_storybook --data "$data" --out "$runs/dvae" --resume

# Captions as codes; of the second half a ninth are emoji, of the first three elevenths. What ships was stopped on the
# way and went on from its averaged weights (docs/learning.md).
limner train dalle --recipe dalle_storybook --data "$data" --dvae "$runs/dvae" --out "$runs/dalle_first" --resume \
    --set training.compile=on --set steps=4423 --set decay_steps=1
limner train dalle --recipe dalle_storybook --data "$scenes" --dvae "$runs/dvae" --out "$runs/dalle" --resume \
    --init "$runs/dalle_first/model" --seed 1 --set training.compile=on --set steps=4200 --set decay_steps=3900 --set warmup_steps=50

# Pictures and captions as vectors; then the same among near misses; then half of them emoji, drawn in other hands.
limner train clip --recipe clip_storybook --data "$data" --out "$runs/clip_first" --resume
limner train clip --recipe clip_storybook_near --data "$data" --init "$runs/clip_first/model" --out "$runs/clip_near" --resume
limner train clip --recipe clip_storybook_near --data "$half" --init "$runs/clip_near/model" --out "$runs/clip" --resume \
    --seed 3 --set steps=1200 --set decay_steps=900 --set objective.redraw=0.9

# A painter's folder holds the three.
mkdir -p "$painter"
limner export "$runs/dvae" "$painter/dvae" --half
limner export "$runs/dalle" "$painter/dalle" --half
limner export "$runs/clip" "$painter/clip" --half

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
limner evaluate article --model "$painter" --out "$runs/article.png"
limner evaluate names --data "$emoji/openmoji-*.tar.gz" --key captions.0 --model "$painter"
limner evaluate names --data "$emoji/noto-*.tar.gz" --key captions.0 --model "$painter" --draw 64
