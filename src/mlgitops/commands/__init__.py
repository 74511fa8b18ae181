"""One module for each verb: its arguments, the calls it makes, its exit code.

A command module offers ``add_arguments(parser)`` and ``run(args, console) -> int``.
:mod:`mlgitops.cli` imports only the module of the verb that was asked for.
"""
