"""Recordings: consent, masking, retention, storage, playback. Nothing records yet."""
