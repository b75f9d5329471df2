"""Answers about budgets."""
