"""Charts as facts: points of base and head, from predictions and from DVC's plot files."""
