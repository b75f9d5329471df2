"""Requests to the world, guarded: bounded in time, in size and in attempts, never led elsewhere.

It knows HTTP and no prices. What is done with an answer, and what a failure means, is on the floor above.
"""
