"""The people: presence, queue membership, pauses, after-call work."""
