"""What events, charges, credits and statements are.

Pure: values and functions over them, no database, no files, no HTTP. Everything that a rule of the domain decides is
decided here; the floors above read, write and show.
"""
