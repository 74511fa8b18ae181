"""Base's stored model, measured on head's test data by base's own code."""
