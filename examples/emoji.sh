#!/usr/bin/env bash
# All three stages on real pictures, emoji and clip art, small enough for an hour and a half on one core; the curves and
# samples of docs/learning.md. Every training command goes on with --resume.
#   bash examples/emoji.sh DATA [FOLDER]        DATA holds emoji/*.tar.gz and clipart/*.tar.gz; default FOLDER: runs
set -euo pipefail
data="$1/emoji/*.tar.gz*3,$1/clipart/*.tar.gz*1"
runs="${2:-runs}"

# Pictures as 8 x 8 codes.
limner train dvae --recipe dvae_storybook --data "$data" --out "$runs/emoji_dvae" --resume --threads 1 \
    --set steps=500 --set decay_steps=250 --set sample_every=250

# Those codes once and for all, two crops of each picture.
for name in emoji clipart; do
    [ -d "$runs/codes_of_$name" ] ||
    limner data tokenize "$1/$name" "$runs/codes_of_$name" --dvae "$runs/emoji_dvae" --crops 2 --threads 1
done

# Captions as codes.
limner train dalle --recipe dalle_storybook --dvae "$runs/emoji_dvae" --out "$runs/emoji_dalle" --resume --threads 1 \
    --data "$runs/codes_of_emoji*3,$runs/codes_of_clipart*1" --set batch=32 --set steps=700 --set decay_steps=350 \
    --set sample_every=350

# Pictures and captions as vectors.
limner train clip --recipe clip_storybook --data "$data" --out "$runs/emoji_clip" --resume --threads 1 \
    --set batch=64 --set steps=300 --set decay_steps=150 --set sample_every=100
