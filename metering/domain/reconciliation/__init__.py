"""Reconciliation: an invoice compared with metered usage, to the nano-dollar.

Owns invoices and their lines, the pairing of lines with requests, the hypotheses about why amounts differ, and the bridge
that leads from the metered amount to the billed one in steps that add up exactly. Pure: storage and operations read invoices
and usage, and record what is found.

Names: ``ours`` is what was metered and charged here, ``theirs`` is what the invoice states. A difference is theirs less ours.
"""
