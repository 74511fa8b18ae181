"""One warm interpreter for all stages of a run: what they import is imported once.

A stage is a program of its own, and starting one costs more than many a stage computes:
scikit-learn alone takes over a second of the processor to import. So a run starts one process,
`server.py`, in the pipeline's environment. `python -m PACKAGE.STAGE` then asks it for a fork, which
has the libraries already and nothing of the project, and in which the stage runs as it would alone.
`dvc repro` by hand knows nothing of it, and gives the same bytes.
"""
