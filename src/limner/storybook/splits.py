"""Which scenes training never sees: a tenth of all combinations, by their hash, and the launch article's own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from limner.storybook.scene import Scene, Thing

HELD_OUT_SHARE = 0.1


def describe(thing: Thing) -> str:
    """Everything said of a thing, as words in an order of their own."""
    garments = ",".join(sorted(" ".join(filter(None, (g.colour, g.kind))) for g in thing.garments))
    words = (
        thing.size,
        "baby" if thing.baby else None,
        thing.mood,
        thing.texture,
        thing.colour,
        thing.kind,
        thing.half and f"half {thing.half}",
        thing.shape and f"as {thing.shape}",
        garments and f"[{garments}]",
        f"without {','.join(sorted(thing.without))}" if thing.without else None,
        thing.doing,
    )
    return " ".join(filter(None, words))


def combination(scene: Scene) -> str:
    """What makes a scene special, as a word: everything said but the background, in an order of its own.

    Captions of the same combination differ in wording only, so that a split by this word keeps combinations apart.
    """
    parts, relation = [describe(thing) for thing in scene.things], scene.relation
    # "A left of B" and "B right of A" are one combination, as are "A and B", "B and A"; a stack has its order.
    opposite = {"right of": "left of", "below": "above"}
    if relation in opposite:
        parts, relation = parts[::-1], opposite[relation]
    elif relation is None and scene.family != "stack":
        parts = sorted(parts)
    joined = f" {relation or ('over' if scene.family == 'stack' else 'and')} ".join(parts)
    whole = (f"{scene.count} {joined}", scene.style, scene.view, scene.panel and f"panel {scene.panel}")
    return " / ".join(filter(None, whole))


def pairing(scene: Scene) -> str | None:
    """The pair that a blend is made of, whatever its colour and size: a cube of porcupine, half cat half owl."""
    first = scene.things[0]
    other = first.texture or first.shape or first.half
    if other is None:
        return None
    return f"{first.kind} {other}" if not first.half else " ".join(sorted((first.kind, first.half)))


def _wears(scene: Scene, *wanted: tuple[str, str]) -> int:
    worn = {(garment.kind, garment.colour) for thing in scene.things for garment in thing.garments}
    return len(worn & set(wanted))


_BLOCKS = ("red", "green")
SPECIAL: tuple[Callable[[Scene], bool], ...] = (
    lambda s: any(
        t.kind == "daikon" and (t.doing == "walking a dog" or any(g.kind == "tutu" for g in t.garments))
        for t in s.things
    ),
    lambda s: any(t.kind == "armchair" and "avocado" in (t.shape, t.texture) for t in s.things),
    lambda s: any({t.kind, t.half} == {"giraffe", "turtle"} for t in s.things),
    lambda s: s.panel in ("sketch", "sketches") and s.things[0].kind == "cat",
    lambda s: any((t.kind, t.texture) == ("cube", "porcupine") for t in s.things),
    lambda s: (
        s.family == "collection"
        and s.things[0].kind in ("glasses", "spectacles", "tumbler")
        and s.things[1].kind == "table"
    ),
    lambda s: _wears(s, ("hat", "red"), ("gloves", "yellow"), ("shirt", "blue"), ("trousers", "green")) >= 3,
    lambda s: s.style == "emoji" and s.things[0].kind == "penguin" and (s.things[0].baby or bool(s.things[0].garments)),
    lambda s: any(t.kind == "teapot" and t.texture and t.colour in ("purple", "yellow") for t in s.things),
    lambda s: s.family == "stack" and (s.things[0].colour, s.things[1].colour) == _BLOCKS,
)
"""What makes each of the article's ten prompts special, in their order (``article.py``): never in training."""


def _drawn_out(word: str, share: float) -> bool:
    return int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big") < share * 2**32


def _alphabet(scene: Scene) -> bool:
    """What combinations are made of is never held out: one thing with a colour or size, one garment, one attribute."""
    first = scene.things[0]
    if len(scene.things) > 1 or scene.count != 1 or (first.colour and (first.texture or first.size)):
        return False
    attributes = (first.texture, first.shape, first.half, first.mood, first.doing, first.baby, scene.style, scene.panel)
    return len(first.garments) + len(first.without) + sum(map(bool, attributes)) + bool(scene.view) == 0 or (
        scene.family == "garments" and len(first.garments) == 1 and not first.without
    )


def held_out(scene: Scene, share: float = HELD_OUT_SHARE) -> bool:
    """Whether training never sees the scene's combination.

    About ``share`` of all combinations, by a hash; a blend also by the pair it is made of; and what makes the article's
    prompts special.
    """
    if any(special(scene) for special in SPECIAL):
        return True
    if _alphabet(scene):
        return False
    pair = pairing(scene)
    return _drawn_out(combination(scene), share) or (pair is not None and _drawn_out("pair " + pair, share))
