"""What a run cost, at base and head."""
