"""How a check of an audit can end, beside holding or being contradicted."""

from __future__ import annotations

from mlgitops.errors import MlgitopsError


class OpenError(MlgitopsError):
    """A check that could not be made here."""


class AbsentError(MlgitopsError):
    """Nothing is there that could be checked."""


class UnverifiedError(MlgitopsError):
    """A signature whose key is not here: no more is known than without it."""
