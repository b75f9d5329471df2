"""Answers about statements, and about closing them."""
