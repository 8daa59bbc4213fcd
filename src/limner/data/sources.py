"""What ``--data`` may say: ``storybook``, a folder, shards, or several of them with weights."""

from __future__ import annotations

from limner.data.pair import Source
from limner.data.worlds import Storybook
from limner.errors import DataError


def open_source(text: str, *, size: int, seed: int = 0, test: bool = False) -> Source:
    """The source called ``text``. ``size``: pixels at which scenes are drawn; ``seed``: order of files, scenes' seed.

    ``test``: the part to look at while training (for the storybook, other seeds than training draws from).
    Raises DataError.
    """
    if text == "storybook":
        return Storybook(size=size, seed=seed, split="test" if test else "train")
    raise DataError(f"--data: expected storybook, a folder or shards, got {text!r}")
