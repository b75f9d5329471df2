"""One verb a file. A verb owns its transaction; the shared ``steps/`` take a connection and never commit."""
