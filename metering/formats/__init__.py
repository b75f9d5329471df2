"""Log formats: bytes to usage events, one format per file.

Owns the shape of foreign records: field names, conventions (does the prompt count include cached tokens?), times without a
zone, one bad record among good ones. Does not own accounts, prices, files or the database: what a record does not state stays
empty, and higher layers decide what that means.
"""
