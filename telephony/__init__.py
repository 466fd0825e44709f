"""Everything that talks to Asterisk and to people."""
