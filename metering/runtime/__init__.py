"""What runs while nobody asks: the scheduler, and which process is the one that runs it.

It owns when something happens, never what: jobs are given to it by composition.
"""
