"""Invoices: importing them, comparing them with metered usage, explaining and settling variances."""
