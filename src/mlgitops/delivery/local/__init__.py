"""Target `local`: HAProxy before two slots, on this host."""

from mlgitops.delivery.local.target import LocalTarget

__all__ = ["LocalTarget"]
