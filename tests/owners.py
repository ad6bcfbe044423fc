"""Who owns which keys, where a test loads a dump: all of it, or a part."""


class Everything:
    unkeyed = True

    def same(self, key):
        return key

    def key(self, key: str, /) -> bool:
        return True

    def hash(self, hash64: int, /) -> bool:
        return True


class Owns(Everything):
    """The keys that are among the letters of `keys`."""

    def __init__(self, keys: str, *, unkeyed: bool) -> None:
        self.keys = keys
        self.unkeyed = unkeyed

    def key(self, key: str, /) -> bool:
        return key in self.keys
