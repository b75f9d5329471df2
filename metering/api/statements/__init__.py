"""Routes for statements: reading, closing, downloading."""
