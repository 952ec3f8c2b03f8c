"""Redaction of personal entities in utterances: patterns, gazetteers, and a tagger that is trained on marked ones."""
from mpc.privacy.masking.text.redaction import PERSONAL, Redactor
from mpc.privacy.masking.text.scoring import Scores, score
from mpc.privacy.masking.text.spans import Span
from mpc.privacy.masking.text.tagger import Tagger

__all__ = ["PERSONAL", "Redactor", "Scores", "Span", "Tagger", "score"]
