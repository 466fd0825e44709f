"""What can go wrong between us and Asterisk's manager interface.

::

    AmiError
    ├── NotReady                the link is down; nothing was sent, try again later
    │   └── LinkLost            it broke after sending: nobody knows whether Asterisk acted
    ├── ActionTimeout           no answer in time; the action may still take effect
    ├── Rejected                Asterisk answered "Error"; retrying the same thing is no use
    ├── ListBroken              a list was asked for and did not come whole: nothing can be told from what is missing
    ├── EncodeError             we refuse to send this action (our caller's bug, or hostile text)
    ├── ProtocolError           the other side does not speak AMI as we know it; the connection is dropped
    └── Misconfigured           people must act; connecting again will not help
        ├── AuthFailed          wrong user or password, or not allowed from here
        ├── TooOld              an Asterisk we do not support
        ├── TlsRequired         settings forbid a password over this connection
        └── CertificateRefused  the server's certificate is not trusted

The first line of every text names the thing, the cause and the mend, and holds no secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telephony.ami.session import Reply


class AmiError(Exception):
    """Root of all errors of this package."""


class NotReady(AmiError):
    """The link is down; nothing was sent."""


class LinkLost(NotReady):
    """The link broke while an answer was awaited: the action may or may not have been carried out."""


class ActionTimeout(AmiError):
    """No complete answer within the time allowed; the action may still take effect."""


class ListBroken(AmiError):
    """A list was asked for and did not come whole: what is not in it may well be there."""


class EncodeError(AmiError):
    """The action cannot be put on the wire as it is."""


class ProtocolError(AmiError):
    """The peer broke the protocol or one of our named caps. ``kind`` is a stable word for counters."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Rejected(AmiError):
    """Asterisk answered ``Response: Error``. ``message`` is its own text, ``reply`` the whole answer."""

    def __init__(self, action: str, reply: Reply) -> None:
        self.action = action
        self.reply = reply
        self.message = reply.response.get("Message")
        super().__init__(f"Asterisk refused {action}: {self.message or 'no reason given'}")

    @property
    def no_such_channel(self) -> bool:
        """The channel is gone: an ordinary result in telephony, not a fault."""
        return self.message.lower().startswith(("no such channel", "channel does not exist", "channel not found"))


class Misconfigured(AmiError):
    """Connecting again will not help until somebody changes a setting, here or in Asterisk."""


class AuthFailed(Misconfigured):
    """Asterisk refused the log-in."""


class TooOld(Misconfigured):
    """The Asterisk is older than we support."""


class TlsRequired(Misconfigured):
    """The settings forbid sending a password over this connection."""


class CertificateRefused(Misconfigured):
    """The server's certificate did not pass the check."""
