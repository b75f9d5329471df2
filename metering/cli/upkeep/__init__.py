"""Commands for serving, verification, retention and migrations."""
