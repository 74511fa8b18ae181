"""What changed inside of tracked tables."""
