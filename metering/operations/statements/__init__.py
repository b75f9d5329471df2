"""Statements: showing, closing and exporting them."""
