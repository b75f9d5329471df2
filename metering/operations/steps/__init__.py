"""Parts of verbs that run inside a transaction which they neither begin nor end."""
