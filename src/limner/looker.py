"""The looker: a CLIP ready to look. Pictures classified by naming the classes, searched by a sentence, embedded.

looker = limner.load_looker()
looker.classify(["cat.jpg"], ["a cat", "a dog"], templates="imagenet")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from limner.errors import InputError, ModelError, PictureError
from limner.looking.embed import EXACT, Embedded, Reading, TooLong, embed_pictures, embed_texts
from limner.looking.heads import NONE, Head, build_head, calibrated
from limner.looking.read import Source, open_picture
from limner.looking.towers import Towers

if TYPE_CHECKING:
    import torch

    from limner.models.clip.config import CLIPConfig
    from limner.models.clip.model import CLIP

Precision = Literal["auto", "float32", "bf16", "int8"]
Engine = Literal["auto", "torch", "openvino"]
Pictures = Sequence[Source | np.ndarray]


class Answer(NamedTuple):
    """One label for one picture: its probability (0 … 1) and its score, the cosine (-1 … 1)."""

    label: str
    probability: float
    score: float


@dataclass(frozen=True)
class Looker:
    """A CLIP (``model``), its ``tokenizer``, and the engine (``towers``) that runs both towers.

    ``name`` is what it was loaded by; ``fingerprint`` tells its weights apart from others'.
    """

    model: CLIP
    tokenizer: Any
    towers: Towers
    name: str
    fingerprint: str

    @property
    def config(self) -> CLIPConfig:
        """Sizes, preprocessing."""
        return self.model.config

    def preprocess(self, picture: Source) -> torch.Tensor:
        """One picture (PIL, path or bytes) → pixels float32 (3, H, W), as OpenAI's; raises PictureError."""
        return self.config.pixels(open_picture(picture))

    def tokenize(self, texts: str | Sequence[str], *, cut: bool = False) -> torch.Tensor:
        """Texts → token ids int64 (n, context), as OpenAI's ``tokenize``. Raises InputError for one too long."""
        import torch

        listed = [texts] if isinstance(texts, str) else list(texts)
        return torch.from_numpy(self.words.clip_row(listed, self.config.text.context, cut=cut))

    def embed_images(self, pictures: Pictures, *, reading: Reading = EXACT) -> np.ndarray:
        """PIL pictures, paths, bytes or uint8 (H, W, 3) arrays → float32 (n, E), unit length.

        Raises PictureError for the first that cannot be read; ``look`` skips such and tells.
        """
        found = self.look(pictures, reading=reading)
        if found.broken:
            raise PictureError(found.broken[0].reason)
        return found.features

    def look(
        self, pictures: Pictures, *, reading: Reading = EXACT, each: Callable[[int], None] | None = None
    ) -> Embedded:
        """As ``embed_images``, but what cannot be read is left out and told (``.broken``); ``each`` hears progress."""
        if isinstance(pictures, str | Path | bytes):
            raise InputError("pictures: expected a list of pictures, got one; put it in brackets")
        return embed_pictures(self.towers, pictures, reading, each=each)

    def embed_texts(self, texts: Sequence[str], *, too_long: TooLong = "error") -> np.ndarray:
        """Texts → float32 (n, E), unit length. ``too_long``: ``error``, ``cut``, or the mean of ``windows``."""
        return embed_texts(self.towers, self.words, texts, too_long=too_long)

    def head(
        self,
        labels: Sequence[str] | Mapping[str, Sequence[str]],
        templates: str | Sequence[str] | None = None,
        *,
        none_of: Pictures | None = None,
        rate: float = 0.05,
        cut: bool = False,
        each: Callable[[int], None] | None = None,
    ) -> Head:
        """A zero-shot head for ``labels``, to be reused; see ``looking.heads``. ``cut``: labels too long are cut.

        ``none_of``: pictures that show none of the labels; ``rate``: the share of such that may still get a label.
        """
        head = build_head(self.towers, self.words, labels, templates, model=self.fingerprint, cut=cut, each=each)
        if none_of is None:
            return head
        found = self.look(none_of)
        if not found.indices:
            raise PictureError(found.broken[0].reason if found.broken else "none of these: expected pictures, got none")
        return calibrated(head, found.features, rate=rate)

    def classify(
        self,
        pictures: Pictures,
        labels: Sequence[str] | Mapping[str, Sequence[str]] | Head,
        templates: str | Sequence[str] | None = None,
        *,
        threshold: float | None = None,
        top: int | None = None,
    ) -> list[list[Answer]]:
        """For each picture its labels, the likeliest first.

        Without ``threshold`` one label holds, and probabilities add up to 1 (over "none of these" too, where the head
        is calibrated). With it each label is judged by itself, and those with at least that probability are listed.
        ``top``: so many at most. Raises InputError, PictureError.
        """
        head = labels if isinstance(labels, Head) else self.head(labels, templates)
        if head.model not in ("", self.fingerprint):
            raise InputError("head: expected one of this model, got one of another; build it again")
        return answers(head, self.embed_images(pictures), threshold=threshold, top=top)

    def search(self, folder: Path | str, query: Any, *, count: int = 10, **options: Any) -> list[Any]:
        """The ``count`` pictures below ``folder`` that fit ``query`` best, by an index kept in the folder.

        ``query``: a sentence, a picture (PIL or ``Path``), or a ``looking.search.Query`` that adds and subtracts both.
        Returns ``looking.search.Hit(path, score)``, best first. Options: see ``looking.search.search_folder``.
        """
        from limner.looking.search import search_folder

        return search_folder(self.towers, self.words, folder, query, model=self.fingerprint, count=count, **options)

    @property
    def words(self) -> Any:
        """The tokenizer. Raises ModelError where the model came without one."""
        if self.tokenizer is None:
            raise ModelError(
                f"model {self.name!r}: expected a tokenizer for texts, got none; import it again with its tokenizer"
            )
        return self.tokenizer


def answers(
    head: Head, features: np.ndarray, *, threshold: float | None = None, top: int | None = None
) -> list[list[Answer]]:
    """Unit features (n, E) → for each its answers, the likeliest first; see ``Looker.classify``."""
    if threshold is not None and not 0.0 <= threshold <= 1.0:
        raise InputError(f"threshold: expected a probability of 0 to 1, got {threshold}")
    if top is not None and top < 1:
        raise InputError(f"top: expected 1 or more, got {top}")
    cosines = head.cosines(features)
    alone = threshold is not None
    probabilities = head.each(features) if alone else head.probabilities(features)
    names = list(head.labels)
    if probabilities.shape[1] > len(names):
        names.append(NONE)
        cosines = np.concatenate([cosines, np.full((len(cosines), 1), head.none, np.float32)], axis=1)
    listed = []
    for row, scores in zip(probabilities, cosines, strict=True):
        order = np.lexsort((np.arange(len(row)), -scores, -row))
        found = [Answer(names[i], float(row[i]), float(scores[i])) for i in order if not alone or row[i] >= threshold]
        listed.append(found[:top])
    return listed


def load_looker(
    name: Path | str = "storybook",
    *,
    device: str = "auto",
    precision: Precision = "float32",
    engine: Engine = "auto",
    resolution: int | None = None,
) -> Looker:
    """The looker called ``name``: a shipped name, a model folder (limner's, or one of open_clip or transformers), a
    file of OpenAI's, or a hub id in the local cache.

    ``precision``: ``float32`` answers as the model's owners do; ``bf16`` is faster, at a cosine of about 0.9999 to it;
    ``int8`` (OpenVINO) faster still; ``auto`` is bf16 where the chip computes it. ``engine`` ``auto`` takes OpenVINO
    for 8 and 16 bits on a CPU where it is installed, torch otherwise. ``resolution``: look at square pictures of so
    many pixels instead of the model's own, by interpolated positions. Raises ModelError, InputError.
    """
    from limner.device import pick_device

    chip = pick_device(device)
    model, tokenizer, fingerprint = _read(name)
    if resolution is not None and resolution != model.config.resolution:
        from limner.models.clip.resize import at_resolution

        model, fingerprint = at_resolution(model, resolution).requires_grad_(False), f"{fingerprint}-{resolution}"
    towers = _towers(model, tokenizer, chip, precision, engine, fingerprint)
    return Looker(model, tokenizer, towers, str(name), fingerprint)


def _read(name: Path | str) -> tuple[CLIP, Any, str]:
    from limner.files import sha256
    from limner.models.modelfolder import find_model, read_folder

    path = Path(name).expanduser()
    if path.is_file():
        return _read_foreign(path)
    folder = find_model(name)
    if not (folder / "config.json").is_file() and (folder / "clip" / "config.json").is_file():
        folder = folder / "clip"
    if not _is_ours(folder):
        return _read_foreign(folder)
    loaded = read_folder(folder)
    if loaded.kind != "clip":
        raise ModelError(f"model {str(name)!r}: expected a clip, got a {loaded.kind}")
    from limner.models.clip.model import CLIP

    assert isinstance(loaded.model, CLIP)
    return loaded.model, loaded.tokenizer, sha256(folder / "config.json")[:16]


def _is_ours(folder: Path) -> bool:
    import json

    try:
        table = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return not (folder / "open_clip_config.json").is_file()
    return not isinstance(table, dict) or "limner" in table or "kind" in table


def _read_foreign(path: Path) -> tuple[CLIP, Any, str]:
    from limner.formats.detect import read_source
    from limner.formats.import_model import build

    imported = read_source(path)
    if imported.kind != "clip":
        raise ModelError(f"{path}: expected a clip, got a {imported.kind}")
    return build(imported), imported.tokenizer, str(imported.facts["source"]["sha256"])[:16]


def _towers(model: CLIP, tokenizer: Any, chip: torch.device, precision: str, engine: str, fingerprint: str) -> Towers:
    import importlib.util

    if precision not in ("auto", "float32", "bf16", "int8"):
        raise InputError(f"precision: expected auto, float32, bf16 or int8, got {precision!r}")
    if engine not in ("auto", "torch", "openvino"):
        raise InputError(f"engine: expected auto, torch or openvino, got {engine!r}")
    if precision == "auto":
        from limner.device import has_bf16

        precision = "bf16" if has_bf16(chip) else "float32"
    here = importlib.util.find_spec("openvino") is not None
    if engine == "openvino" or precision == "int8" or (engine == "auto" and precision == "bf16" and here):
        if chip.type == "cpu" and engine != "torch":
            from limner.engines.calibration import drawn_samples
            from limner.engines.openvino_towers import OpenVINOTowers

            return OpenVINOTowers(model, precision, fingerprint, samples=lambda: drawn_samples(model.config, tokenizer))
        if precision == "int8" or engine == "openvino":
            raise InputError(f"precision int8, engine openvino: expected the CPU and OpenVINO, got {chip} and {engine}")
    from limner.engines.torch_towers import TorchTowers

    return TorchTowers(model, chip, precision)
