"""Which command and which route give the same answer, by subject.

A subject's file lists its pairs, the commands that make the data they are asked about (``SEED``), and, with the reason, what
has no counterpart. It can define ``prepare(line)`` for data that needs a file or a command that fails.
"""
