"""The packaged Asterisk: provisioning, rendered configuration, dialplan, test callers."""
