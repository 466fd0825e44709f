"""What can go wrong with the packaged Asterisk. Every message is one line for people: thing, cause, mend.

PbxError
 +- ProvisionError   no usable Asterisk can be had
 +- RenderError      the settings cannot be made into configuration
 +- StartError       Asterisk does not start, or does not come up
 +- CallError        a test call or test phone could not be carried out
"""


class PbxError(Exception):
    """Base of them all."""


class ProvisionError(PbxError):
    """There is no usable Asterisk; the message says why, and what to install or set."""


class RenderError(PbxError):
    """A setting cannot go into Asterisk's configuration; the message names it."""


class StartError(PbxError):
    """Asterisk does not start, or ended before it was up."""


class CallError(PbxError):
    """SIPp could not carry out a call; a call that is refused or not answered is no error but an outcome."""
