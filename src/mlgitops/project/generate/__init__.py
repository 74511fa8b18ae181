"""Generate a project: the template's questions, the person's table, cookiecutter itself.

Everything here is used by `mlgitops new` alone; cookiecutter and pandas are imported where
they are used, so that no other command pays for them.
"""
