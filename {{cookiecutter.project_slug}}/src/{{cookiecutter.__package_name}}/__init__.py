"""The pipeline of this project: one module a stage, in the order of dvc.yaml.

ingest → validate → split → train → evaluate → explain → card; `serve` answers requests and
`scoring` predicts a table. Stages read and write files at the paths of `plumbing.paths`; what
they compute stands in functions that take and return values, so tests need no pipeline.
"""

import os

# One thread for each process, before a library counts the cores: sums then have one order, so a
# model has the same bytes on every machine, and small tables are faster too. Set the variable
# yourself for large tables.
os.environ.setdefault("OMP_NUM_THREADS", "1")

PROJECT_NAME = {{ cookiecutter.project_name | tojson }}
MODEL_NAME = "{{ cookiecutter.project_slug }}"
OWNER = "{{ cookiecutter.owner }}"
