"""Refuse by name what pydantic-settings offers and a twelve-factor process does not do, with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twelvefactor.exceptions import UsageError

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

DOTENV = (
    "a .env file is for development: `twelvefactor dev` reads it into the environment, and nothing else does. "
    "Set the variables in the deploy"
)
FILE = (
    "a config file in the codebase is the same in every deploy. Set variables, or mount the file and point a "
    "NAME_FILE variable at it"
)
CLI = "arguments of a command belong to an admin process: declare one with @service.admin"
_SECRETS = (
    "secrets are files in secrets_dir or /run/secrets, one per variable; the name may contain the nested delimiter"
)

REFUSED: dict[str, str] = {
    **dict.fromkeys(("env_file", "env_file_encoding", "env_file_depth", "dotenv_filtering"), DOTENV),
    **dict.fromkeys(("json_file", "json_file_encoding"), FILE),
    **dict.fromkeys(("yaml_file", "yaml_file_encoding", "yaml_config_section"), FILE),
    **dict.fromkeys(("toml_file", "toml_table_header"), FILE),
    **dict.fromkeys(("pyproject_toml_depth", "pyproject_toml_table_header"), FILE),
    **dict.fromkeys(
        (
            "secrets_dir_missing",
            "secrets_dir_max_size",
            "secrets_case_sensitive",
            "secrets_prefix",
            "secrets_nested_delimiter",
            "secrets_nested_subdir",
        ),
        _SECRETS,
    ),
}
"""Keys of ``model_config`` that a Config class may not set, and why; every key that begins with ``cli_`` as well."""

_OPTIONS = {
    "_case_sensitive": "case_sensitive",
    "_env_prefix": "env_prefix",
    "_env_prefix_target": "env_prefix_target",
    "_env_ignore_empty": "env_ignore_empty",
    "_env_nested_delimiter": "env_nested_delimiter",
    "_env_nested_max_split": "env_nested_max_split",
    "_env_parse_none_str": "env_parse_none_str",
    "_env_parse_enums": "env_parse_enums",
    "_nested_model_default_partial_update": "nested_model_default_partial_update",
    "_secrets_dir": "secrets_dir",
}


def refuse(cls: type[BaseSettings]) -> None:
    """
    Check the ``model_config`` of *cls*.

    Raises:
        UsageError: When it sets what is refused.
    """
    from pydantic_settings import BaseSettings

    for key, value in cls.model_config.items():
        reason = CLI if key.startswith("cli_") else REFUSED.get(key)
        if reason and value != BaseSettings.model_config.get(key):
            raise UsageError(f"{cls.__name__}.model_config[{key!r}] is refused: {reason}")
    if cls.model_config.get("frozen") is not True:
        raise UsageError(
            f"{cls.__name__}.model_config['frozen'] is refused: config does not change while the process runs"
        )


def circle(cls: type[BaseSettings]) -> None:
    """
    Check that no fields read each other's variables round in a circle.

    Raises:
        UsageError: When they do; whoever sets one sets another.
    """
    reads = {
        name.upper(): info.validation_alias.upper()
        for name, info in cls.model_fields.items()
        if isinstance(info.validation_alias, str)
    }
    for first in reads:
        seen = [first]
        while (follows := reads.get(seen[-1])) and follows not in seen:
            seen.append(follows)
        if follows == first and len(seen) > 1:
            told = ", ".join(f"{name.lower()} reads {reads[name]}" for name in seen)
            raise UsageError(f"{cls.__name__}: the aliases form a circle: {told}. Rename one of them")


def options(values: dict[str, Any]) -> dict[str, Any]:
    """
    Take pydantic-settings' own arguments, such as ``_env_prefix``, out of *values*.

    Raises:
        UsageError: When one of them is refused.
    """
    taken: dict[str, Any] = {}
    for name in [name for name in values if name.startswith("_")]:
        if name in _OPTIONS:
            value = values.pop(name)
            if value is not None:
                taken[_OPTIONS[name]] = value
            continue
        reason = CLI if name.startswith("_cli_") else REFUSED.get(name[1:])
        if name == "_build_sources":
            reason = CLI
        if reason and values[name] is None:
            del values[name]
        elif reason:
            values.clear()
            raise UsageError(f"the argument {name} is refused: {reason}")
    return taken
