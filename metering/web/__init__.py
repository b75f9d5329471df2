"""What every HTTP edge shares: principals, problems, cursors, and reading queries and bodies.

It knows HTTP but no single resource; those are on the floor above.
"""
