"""What a model costs: measured by `train`, recorded in git, compared and judged like a metric."""
