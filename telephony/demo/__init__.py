"""The demo: a sample office and a story of real calls. It uses what users have: SIP, HTTP, settings."""
