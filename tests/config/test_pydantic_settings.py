"""
Every documented feature of pydantic-settings works, or is refused by name.

The lists are read from the installed version, so that a feature of the next one cannot be forgotten.
"""

import enum
import inspect
import json
from typing import Annotated, Any, Literal

import pydantic_settings
import pytest
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    ImportString,
    Json,
    RootModel,
    ValidationError,
    computed_field,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass
from pydantic_settings import BaseSettings, ForceDecode, NoDecode, SettingsConfigDict

import twelvefactor as tf
from twelvefactor.config.unsupported import REFUSED
from twelvefactor.exceptions import UsageError


class Color(enum.Enum):
    RED = "r"


class Sub(BaseModel):
    one: int = 1
    two: int = 2


WORKS: dict[str, tuple[dict, Any, dict, Any]] = {
    # key: (model_config, annotation, environment, value)
    "case_sensitive": ({"case_sensitive": True}, int, {"it": "1", "IT": "2"}, 1),
    "env_prefix": ({"env_prefix": "shop_"}, int, {"SHOP_IT": "1"}, 1),
    "env_prefix_target": (
        {"env_prefix": "shop_", "env_prefix_target": "alias"},
        Annotated[int, Field(validation_alias="that")],
        {"SHOP_THAT": "1"},
        1,
    ),
    "env_ignore_empty": ({"env_ignore_empty": True}, Annotated[str, Field(default="d")], {"IT": ""}, "d"),
    "env_nested_delimiter": ({"env_nested_delimiter": "_of_"}, Sub, {"IT_OF_ONE": "5"}, Sub(one=5)),
    "env_nested_max_split": (
        {"env_nested_delimiter": "_", "env_nested_max_split": 1},
        dict[str, int],
        {"IT_SUB_ONE": "5"},
        {"sub_one": 5},
    ),
    "env_parse_none_str": ({"env_parse_none_str": "null"}, int | None, {"IT": "null"}, None),
    "env_parse_enums": ({"env_parse_enums": True}, Color, {"IT": "RED"}, Color.RED),
    "enable_decoding": ({"enable_decoding": False}, Annotated[list[str], field_split := None], {"IT": "x"}, None),
    "nested_model_default_partial_update": (
        {"nested_model_default_partial_update": True},
        Annotated[Sub, Field(default=Sub(one=7))],
        {"IT__TWO": "8"},
        Sub(one=7, two=8),
    ),
}
del field_split


def declare(config, annotation):
    """A Config class with one field, ``it``."""
    return type(
        "Config",
        (tf.Config,),
        {
            "__module__": __name__,
            "__annotations__": {"it": annotation},
            "model_config": SettingsConfigDict(**config),
        },
    )


@pytest.mark.parametrize("key", [key for key in WORKS if key != "enable_decoding"])
def test_what_works_works(key):
    """
    The setting does what pydantic-settings documents.
    """
    config, annotation, environ, value = WORKS[key]

    assert declare(config, annotation).load(environ).it == value


@pytest.mark.parametrize(
    "key", [key for key in WORKS if key not in {"enable_decoding", "nested_model_default_partial_update"}]
)
def test_what_works_works_as_in_theirs(key, monkeypatch):
    """
    The same class on BaseSettings gives the same value.
    """
    config, annotation, environ, value = WORKS[key]
    monkeypatch.setattr("os.environ", environ)
    cls = type(
        "Theirs",
        (BaseSettings,),
        {
            "__module__": __name__,
            "__annotations__": {"it": annotation},
            "model_config": SettingsConfigDict(**config),
        },
    )

    assert cls().it == value


def test_enable_decoding_off_leaves_text_to_validators():
    """
    And ForceDecode turns it on for one field.
    """

    class Config(tf.Config):
        model_config = SettingsConfigDict(enable_decoding=False)
        words: list[str]
        forced: Annotated[list[int], ForceDecode]

        @field_validator("words", mode="before")
        @classmethod
        def _split(cls, value):
            return value.split("|")

    config = Config.load({"WORDS": "a|b", "FORCED": "[1]"})
    assert (config.words, config.forced) == (["a", "b"], [1])


SECRETS_DIR = {"secrets_dir"}


def test_secrets_dir_is_one_more_place(tmp_path):
    """
    Beside /run/secrets, by class or by argument.
    """
    (tmp_path / "it").write_text("7\n")

    assert declare({"secrets_dir": tmp_path}, int).load({}).it == 7
    assert declare({}, int).load({}, _secrets_dir=str(tmp_path)).it == 7


def test_every_setting_is_tested_here_or_refused():
    """
    No key of SettingsConfigDict is silently ignored.
    """
    keys = set(SettingsConfigDict.__annotations__) - set(ConfigDict.__annotations__)

    unspoken = keys - set(WORKS) - SECRETS_DIR - set(REFUSED) - {key for key in keys if key.startswith("cli_")}
    assert unspoken == set()


VALUES = {
    "dotenv_filtering": "only_existing",
    "cli_parse_args": True,
    "env_file_depth": 1,
    "secrets_nested_subdir": True,
}


@pytest.mark.parametrize(
    "key", sorted(key for key in SettingsConfigDict.__annotations__ if key in REFUSED or key.startswith("cli_"))
)
def test_what_is_refused_is_refused_by_name(key):
    """
    When the class is made, with the reason.
    """
    default = BaseSettings.model_config.get(key)
    value = VALUES.get(key, (not default) if isinstance(default, bool) else "something")

    with pytest.raises(UsageError, match=rf"^Config\.model_config\['{key}'\] is refused: \w"):
        declare({key: value}, int)


def test_a_dotenv_file_is_refused_with_the_next_step():
    """
    The most common of them.
    """
    with pytest.raises(UsageError, match="`twelvefactor dev` reads it into the environment"):

        class Config(tf.Config, env_file=".env"):
            pass


def test_thawing_is_refused():
    """
    Config does not change while the process runs.
    """
    with pytest.raises(UsageError, match=r"^Config.model_config\['frozen'\] is refused"):
        declare({"frozen": False}, int)


def test_every_argument_works_or_is_refused(tmp_path):
    """
    The arguments of BaseSettings.__init__ that begin with an underscore.
    """
    arguments = [name for name in inspect.signature(BaseSettings.__init__).parameters if name.startswith("_")]
    works = {
        "_case_sensitive": True,
        "_env_prefix": "",
        "_env_prefix_target": "variable",
        "_env_ignore_empty": True,
        "_env_nested_delimiter": "__",
        "_env_nested_max_split": 1,
        "_env_parse_none_str": "null",
        "_env_parse_enums": True,
        "_secrets_dir": str(tmp_path),
    }
    plain = declare({}, Annotated[int, Field(default=1)])

    for name in arguments:
        if name.startswith("__") or name == "_nested_model_default_partial_update":
            continue
        if name in works:
            assert plain.load({}, **{name: works[name]}).it == 1
        else:
            with pytest.raises(UsageError, match=f"^the argument {name} is refused: "):
                plain.load({}, **{name: "x"})
    assert plain.load({}, _nested_model_default_partial_update=True).it == 1


def test_options_of_one_load_change_the_names():
    """
    As with _env_prefix in theirs.
    """
    assert declare({}, int).load({"SHOP_IT": "4"}, _env_prefix="SHOP_").it == 4


EXPORTS = {
    "works": "BaseSettings SettingsConfigDict NoDecode ForceDecode EnvSettingsSource InitSettingsSource "
    "PydanticBaseSettingsSource SettingsError IncompleteFieldDefinitionWarning __version__ SecretsSettingsSource "
    "NestedSecretsSettingsSource AWSSecretsManagerSettingsSource AWSSystemsManagerSettingsSource "
    "AzureKeyVaultSettingsSource GoogleSecretManagerSettingsSource",
    "refused": "CliApp CliSettingsSource CLI_SUPPRESS CliDualFlag CliExplicitFlag CliImplicitFlag CliToggleFlag "
    "CliMutuallyExclusiveGroup CliPositionalArg CliVariadicArg CliSubCommand CliSuppress CliUnknownArgs get_subcommand "
    "DotEnvSettingsSource JsonConfigSettingsSource PyprojectTomlConfigSettingsSource TomlConfigSettingsSource "
    "YamlConfigSettingsSource",
}


def test_every_export_has_a_verdict():
    """
    A new name of pydantic-settings must be judged.
    """
    assert set(pydantic_settings.__all__) == set(" ".join(EXPORTS.values()).split())


def test_running_a_config_as_a_command_is_refused():
    """
    Arguments belong to admin processes.
    """
    with pytest.raises(UsageError, match="belong to an admin process"):
        pydantic_settings.CliApp.run(declare({}, Annotated[int, Field(default=1)]), cli_args=[])


@pytest.mark.parametrize(
    "name",
    [
        "DotEnvSettingsSource",
        "JsonConfigSettingsSource",
        "TomlConfigSettingsSource",
        "YamlConfigSettingsSource",
        "PyprojectTomlConfigSettingsSource",
    ],
)
def test_sources_that_read_files_of_the_codebase_are_refused(name):
    """
    By the hook as well.
    """
    source = getattr(pydantic_settings, name)

    class Config(tf.Config):
        it: int = 1

        @classmethod
        def settings_customise_sources(cls, settings_cls, **sources):
            return (sources["env_settings"], source(settings_cls))

    with pytest.raises(tf.ConfigError, match=f"{name}: is refused: "):
        Config.load({})


class Vault(pydantic_settings.PydanticBaseSettingsSource):
    """A source of the app's own."""

    held = {"it": 5, "other": 6}

    def get_field_value(self, field, field_name):
        return self.held.get(field_name), field_name, False

    def __call__(self):
        return dict(self.held)


class Broken(Vault):
    def __call__(self):
        raise ConnectionError("planted")


def with_sources(*order):
    class Config(tf.Config):
        it: int
        other: int
        third: int = 0

        @classmethod
        def settings_customise_sources(cls, settings_cls, **sources):
            return tuple(sources[each] if isinstance(each, str) else each(settings_cls) for each in order)

    return Config


def test_a_source_of_ones_own_has_its_place_in_the_order():
    """
    settings_customise_sources decides, as in theirs.
    """
    from twelvefactor.config import provenance

    first = with_sources("init_settings", "env_settings", Vault).load({"IT": "1"}, third=3)
    last = with_sources("init_settings", Vault, "env_settings").load({"IT": "1"})

    assert (first.it, first.other, first.third, last.it) == (1, 6, 3, 5)
    assert {name: str(origin) for name, origin in provenance(first).items()} == {"it": "IT", "other": "source Vault"}


def test_a_source_that_raises_hides_no_other_problem():
    """
    One line for it, without what it said.
    """
    with pytest.raises(tf.ConfigError) as error:
        with_sources("env_settings", Broken).load({"IT": "x"})

    told = [line.strip().partition(";")[0] for line in str(error.value).splitlines()[1:]]
    assert told == ["Broken: the source raised ConnectionError", "IT: is not an integer", "OTHER: is not set"]
    assert "planted" not in str(error.value)


def test_a_source_of_ones_own_is_not_asked_in_a_build():
    """
    A vault is not there then.
    """
    cls = with_sources("env_settings", Broken)

    assert cls.load({"TWELVEFACTOR_PHASE": "build", "IT": "1", "OTHER": "2"}).it == 1


# -- what models do


@dataclass
class Point:
    x: int
    y: int = 0


@pytest.mark.parametrize(
    ("annotation", "environ", "value"),
    [
        (int | None, {"IT": "3"}, 3),
        (Literal["a", "b"], {"IT": "b"}, "b"),
        (Color, {"IT": "r"}, Color.RED),
        (dict[str, int], {"IT": '{"a": 1}'}, {"a": 1}),
        (dict[str, int], {"IT__a": "1"}, {"a": 1}),
        (Sub, {"IT": '{"one": 3}', "IT__TWO": "4"}, Sub(one=3, two=4)),
        (Sub | None, {"IT__ONE": "3"}, Sub(one=3)),
        (Point, {"IT__X": "3"}, Point(3)),
        (Json[list[int]], {"IT": "[1]"}, [1]),
        (Annotated[list[str], NoDecode], {"IT": "x"}, None),
        (RootModel[list[int]], {"IT": "[1, 2]"}, RootModel[list[int]]([1, 2])),
        (ImportString, {"IT": "math.pi"}, 3.141592653589793),
        (Annotated[int, Field(validation_alias=AliasChoices("b", "a"))], {"B": "2"}, 2),
        (Annotated[int, Field(validation_alias=AliasPath("b", 1))], {"B": "[1, 2]"}, 2),
        (Annotated[int, Field(alias="b")], {"B": "2"}, 2),
        (list[Sub], {"IT": '[{"one": 9}]'}, [Sub(one=9)]),
        (list[int] | str, {"IT": "words"}, "words"),
    ],
)
def test_fields_are_parsed_as_in_theirs(annotation, environ, value, monkeypatch):
    """
    Nested, aliased, JSON, enumerated: the same value from both.
    """
    ours = declare({}, annotation)
    if value is None:
        with pytest.raises(tf.ConfigError):
            ours.load(environ)
        return
    monkeypatch.setattr("os.environ", environ)
    theirs = type(
        "Theirs",
        (BaseSettings,),
        {
            "__module__": __name__,
            "__annotations__": {"it": annotation},
            "model_config": SettingsConfigDict(env_nested_delimiter="__"),
        },
    )

    assert ours.load(environ).it == theirs().it == value


def test_decorators_work():
    """
    Validators, serializers and computed fields.
    """

    class Config(tf.Config):
        name: str
        count: int = 0

        @field_validator("name", mode="before")
        @classmethod
        def _before(cls, value):
            return value.strip()

        @field_validator("count")
        @classmethod
        def _after(cls, value):
            return value + 1

        @model_validator(mode="before")
        @classmethod
        def _whole_before(cls, data):
            return {**data, "count": 4}

        @model_validator(mode="wrap")
        @classmethod
        def _wrapped(cls, data, handler):
            return handler(data)

        @model_validator(mode="after")
        def _whole_after(self):
            assert self.name
            return self

        @field_serializer("count")
        def _shown(self, value):
            return f"#{value}"

        @computed_field
        @property
        def loud(self) -> str:
            return self.name.upper()

    config = Config.load({"NAME": " ada "})
    assert json.loads(config.model_dump_json()) == {"name": "ada", "count": "#5", "loud": "ADA"}


def test_private_attributes_and_defaults_of_factories_work():
    """
    As in any model.
    """
    from pydantic import PrivateAttr

    class Config(tf.Config):
        items: list[int] = Field(default_factory=lambda: [1])
        double: int = Field(default_factory=lambda data: data["items"][0] * 2)
        _cache: dict = PrivateAttr(default_factory=dict)

    config = Config.load({"ITEMS": "4"})
    assert (config.items, config.double, config._cache) == ([4], 8, {})


def test_a_subclass_may_add_and_change_fields():
    """
    As in any model.
    """

    class Base(tf.Config):
        a: int = 1

    class More(Base):
        a: int = 2
        b: str

    assert More.load({"B": "x"}).a == 2


def test_a_forward_reference_may_be_resolved_later():
    """
    model_rebuild() is seen.
    """

    class Later(tf.Config):
        it: "Unknown"  # noqa: F821

    Unknown = Sub
    Later.model_rebuild(_types_namespace={"Unknown": Unknown})

    assert Later.load({"IT__ONE": "8"}).it.one == 8


def test_settings_are_cached_where_that_is_asked_for(monkeypatch):
    """
    settings_cached() and settings_clear_cache().
    """
    cls = declare({}, int)
    monkeypatch.setenv("IT", "1")
    first = cls.settings_cached()

    assert cls.settings_cached() is first
    cls.settings_clear_cache()
    assert cls.settings_cached() is not first


def test_reading_again_in_place_is_refused():
    """
    theirs reloads with __init__(); a process that wants new config starts anew.
    """
    config = declare({}, int).load({"IT": "1"})

    with pytest.raises(AttributeError, match="does not change"):
        config.__init__(_environ={"IT": "2"})


def test_extra_variables_are_nobodys_business():
    """
    The environment holds more than the config.
    """
    assert declare({}, int).load({"IT": "1", "PATH": "/bin", "IT__X": "y"}).it == 1


def test_validation_by_hand_stays_pydantics_own(monkeypatch):
    """
    model_validate() on a wrong value raises without showing it.
    """
    with pytest.raises((tf.ConfigError, ValidationError)) as error:
        declare({}, int).model_validate({"it": "planted"})

    assert "planted" not in str(error.value)
