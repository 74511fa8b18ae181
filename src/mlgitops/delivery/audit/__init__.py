"""What runs, by whose approval and from what; and proof of it, as documents that others read."""

from mlgitops.delivery.audit.run import Given, audit_environment

__all__ = ["Given", "audit_environment"]
