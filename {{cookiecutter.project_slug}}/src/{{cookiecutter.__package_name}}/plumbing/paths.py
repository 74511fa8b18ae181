"""Where the stages read and write, relative to the project's root folder."""

from pathlib import Path

PARAMS = Path("params.yaml")
CONTRACT = Path("contract.yaml")
MONITOR = Path("monitor.yaml")
LOCK = Path("requirements/pipeline.txt")
TRUSTED_TYPES = Path("trusted_types.txt")
DATA_CARD = Path("data/DATA_CARD.md")

RAW = Path("data/raw/table.{{ cookiecutter._data_format }}")
INTERIM = Path("data/interim/table.{{ cookiecutter._data_format }}")
TRAIN = Path("data/split/train.{{ cookiecutter._data_format }}")
TEST = Path("data/split/test.{{ cookiecutter._data_format }}")

MODEL = Path("model/model.skops")
MODEL_SEEDS = Path("model/seeds")
MODEL_FACTS = Path("model/model.json")

VALIDATION = Path("reports/validation.json")
METRICS = Path("reports/metrics.json")
PREDICTIONS = Path("reports/predictions.csv")
GOLDEN = Path("reports/golden.json")
SLICES = Path("reports/slices.csv")
PLOTS = Path("reports/plots")
IMPORTANCE = Path("reports/importance.json")
MODEL_CARD = Path("MODEL_CARD.md")
