"""One module a vendor, each behind the ports of ``crm_bridge.ports``."""
