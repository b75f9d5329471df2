"""Guarded outgoing HTTP requests: limits on time, size and attempts; redirects are never followed.

This package knows HTTP and nothing about prices or alerts. Operations decide what a response or a failure means.
"""
