"""``python -m telephony.pbx``: the commands of ``callfloor pbx``, for scripts that want nothing else."""

from __future__ import annotations

import sys

from telephony.pbx.commands import FAILED, pbx
from telephony.settings import SettingsError, load

if __name__ == "__main__":
    try:
        pbx(obj=load())
    except SettingsError as refused:
        print(f"callfloor: {refused}", file=sys.stderr)
        sys.exit(FAILED)
