"""Commands for credits."""
