"""Showing, closing and exporting statements."""
