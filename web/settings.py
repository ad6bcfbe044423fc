"""Where settings are read from: a TOML file, the environment, the command line."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from engine.errors import InvalidSetting
from engine.resolving import CONFIG_VARIABLE, Layer, Resolved, Source, from_environ, resolve

DEFAULT_FILE: Final = Path("tallymark.toml")
"""Read when it is there and no other file is named."""


def read(options: Mapping[str, Any], environ: Mapping[str, str], file: Path | None) -> Resolved:
    """The settings of this run, checked, and where each came from.

    options  {setting: what the command line says}, only those that were given
    environ  all variables of the process
    file     what `--config` names; None: TALLYMARK_CONFIG, else ./tallymark.toml if there

    Raises InvalidSetting.
    """
    layers: list[Layer] = []
    named = file or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    if named is not None or DEFAULT_FILE.is_file():
        layers.append(_file_layer(named or DEFAULT_FILE))
    layers.append(from_environ(environ))
    layers.append((Source.COMMAND_LINE, options))
    return resolve(layers)


def _file_layer(path: Path) -> Layer:
    try:
        return str(path), tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidSetting(f"The settings file {path} cannot be read: {reason}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"The settings file {path} is not TOML: {error}") from error
