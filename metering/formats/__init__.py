"""Log formats: bytes to usage events, one format a file.

Owns what foreign records look like: field names, conventions (does the prompt count contain the cached tokens?), times
without a zone, one bad record among good ones. Does not own accounts, prices, files or the database: what a record does not
state stays empty, and the floors above decide what that means.
"""
