"""Commands for ingesting logs, quarantine and usage of undeclared accounts."""
