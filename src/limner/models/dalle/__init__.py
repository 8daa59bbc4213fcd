"""DALL·E's transformer over caption and image tokens."""

from limner.models.dalle.config import DALLEConfig
from limner.models.dalle.loss import loss
from limner.models.dalle.model import DALLE

__all__ = ["DALLE", "DALLEConfig", "loss"]
