"""The discrete VAE: pictures as grids of codes and back (DALL·E paper, section 2.1 and appendix A)."""

from limner.models.dvae.config import DVAEConfig
from limner.models.dvae.model import DVAE

__all__ = ["DVAE", "DVAEConfig"]
