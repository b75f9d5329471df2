"""What the service shows: one model an answer, built here from domain values and nowhere else.

The API returns these models, ``--json`` prints them, tables, files and pages are drawn from them. Pure: no database, no HTTP.
"""
