"""The storybook's judge: verdicts about pictures, from pixels alone."""

from limner.storybook.judge.judge import Judge
from limner.storybook.judge.verdict import Answers, Found, Verdict

__all__ = ["Answers", "Found", "Judge", "Verdict"]
