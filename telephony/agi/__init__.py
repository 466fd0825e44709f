"""FastAGI: codec (sans-IO), caller (the ``Caller`` port of ``ivr_flows``), server (the asyncio shell)."""

from telephony.agi.caller import AgiCaller, SoundError, facts_of
from telephony.agi.codec import AgiCommandError, AgiError, AgiProtocolError
from telephony.agi.server import AgiServer, Counters, Handler

__all__ = [
    "AgiCaller",
    "AgiCommandError",
    "AgiError",
    "AgiProtocolError",
    "AgiServer",
    "Counters",
    "Handler",
    "SoundError",
    "facts_of",
]
