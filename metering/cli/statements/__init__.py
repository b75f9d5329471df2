"""Commands for statements: showing, closing, exporting."""
