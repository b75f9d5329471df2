"""The command line. Commands read arguments, call one operation and show its answer; they decide nothing.

Each command is a module that is imported when it is called, so that ``metering --help`` imports neither the database nor Rich.
Modules that every command needs (``root``, ``lazy_group``, ``invocation``) stay light.
"""
