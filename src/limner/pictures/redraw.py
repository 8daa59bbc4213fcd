"""A picture as another hand might have drawn it: so that a CLIP learns things and not one illustrator's habits."""

from __future__ import annotations

import colorsys

import numpy as np
from PIL import Image, ImageChops, ImageEnhance, ImageFilter

OUTLINED, FLAT, BARE, TINTED = 0.5, 0.3, 0.1, 0.3
"""Shares that get dark outlines, few flat colours, nothing but outlines, a tint."""
EDGE = 40
"""So many steps of 255 between neighbouring pixels are an edge."""
TURN = 10.0
"""Degrees, at most."""


def redraw(picture: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """uint8 (H, W, 3) → the same shape: a little smaller or larger, turned and moved, in other shades, some outlined.

    Never mirrored, and colours stay near what they were: captions name sides and colours. What is uncovered takes the
    colour of the upper left corner.
    """
    image = Image.fromarray(picture)
    ground = tuple(int(value) for value in picture[0, 0])
    image = _moved(image, ground, random)
    image = _shaded(image, random)
    if random.random() < FLAT:
        image = image.quantize(int(random.integers(4, 12)), Image.Quantize.FASTOCTREE).convert("RGB")
    outlined, bare = random.random() < OUTLINED, random.random() < BARE
    if outlined or bare:
        base = Image.new("RGB", image.size, ground) if bare else image
        ink = tuple(int(value) for value in random.integers(0, 40, 3))
        image = Image.composite(Image.new("RGB", image.size, ink), base, _edges(image, random))
    return np.asarray(image)


def _moved(image: Image.Image, ground: tuple[int, ...], random: np.random.Generator) -> Image.Image:
    scale, turn = random.uniform(0.7, 1.05), np.deg2rad(random.uniform(-TURN, TURN))
    stretch = random.uniform(0.92, 1.08)
    middle = np.array(image.size) / 2
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) / scale
    matrix[0] *= stretch
    to = middle + random.uniform(-0.08, 0.08, 2) * image.size
    offset = middle - matrix @ to
    rows = (*matrix[0], offset[0], *matrix[1], offset[1])
    return image.transform(
        image.size, Image.Transform.AFFINE, tuple(map(float, rows)), Image.Resampling.BILINEAR, fillcolor=ground
    )


def _shaded(image: Image.Image, random: np.random.Generator) -> Image.Image:
    image = ImageEnhance.Color(image).enhance(random.uniform(0.6, 1.5))
    image = ImageEnhance.Contrast(image).enhance(random.uniform(0.8, 1.3))
    if random.random() > TINTED:
        return image
    # A little of another hue keeps white nearly white and red red.
    tint = tuple(int(255 * value) for value in colorsys.hsv_to_rgb(random.random(), 0.5, 1.0))
    mixed = ImageChops.multiply(image, Image.new("RGB", image.size, tint))
    return Image.blend(image, mixed, random.uniform(0.0, 0.3))


def _edges(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Where an outline goes: a mask, some pixels wide."""
    steps = ImageChops.lighter(
        ImageChops.difference(image, ImageChops.offset(image, 1, 0)),
        ImageChops.difference(image, ImageChops.offset(image, 0, 1)),
    )
    # What left one side came in at the other.
    steps.paste(0, (0, 0, steps.width, 1))
    steps.paste(0, (0, 0, 1, steps.height))
    red, green, blue = steps.split()
    mask = ImageChops.lighter(ImageChops.lighter(red, green), blue).point([0] * EDGE + [255] * (256 - EDGE))
    if random.random() < 0.7:
        mask = mask.filter(ImageFilter.MaxFilter(3))
    return mask.filter(ImageFilter.GaussianBlur(0.6))
