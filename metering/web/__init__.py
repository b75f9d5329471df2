"""What the API and a dashboard share: who asks, problems, cursors, how questions and bodies are read.

It knows HTTP and nothing of a single resource; what may be asked and what is answered is on the floor above.
"""
