"""What runs while nobody asks: the scheduler, which process is the one that runs it, and the writer that requests share.

It owns when something happens, never what: jobs are given to it by composition.
"""
