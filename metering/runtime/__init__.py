"""Background work: the scheduler, the leader election, the writer that requests share, and the dispatcher of webhooks.

It decides when something happens, never what: composition passes the jobs in.
"""
