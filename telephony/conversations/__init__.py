"""The conversation, our unit of work: model, tracker (pure), resync, journal and replay."""
