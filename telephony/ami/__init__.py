"""The Asterisk Manager Interface: codec and session (both sans-IO), client (the asyncio shell)."""
