"""How large the demonstration marketplace is, and how large it may be.

Apart from `load.marketplace`, which the command's options should not have to wait for.
"""

from typing import Final

DAYS: Final = 30
DAYS_MAX: Final = 399
"""The server takes nothing older than 400 days."""

SERVICES_MAX: Final = 40
"""As many as `load.catalogue` has."""

USERS: Final = 5_000
USERS_MIN: Final = 20
"""So many are never none, wherever chance puts them: e ** -20."""
