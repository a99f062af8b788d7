"""TF306: config is chosen by the name of an environment."""

import pytest

FIRES = {
    "a name": 'ENV = "production"\nif ENV == "production":\n    DEBUG = False',
    "an attribute": 'def debug(config):\n    return config.environment != "production"',
    "a list": 'def debug(config):\n    return config.app_env in ("dev", "staging")',
    "a variable": 'import os\nif os.environ.get("APP_ENV", "") == "production":\n    DEBUG = False',
    "reversed": 'def debug(env):\n    return "prod" == env',
}


@pytest.mark.parametrize("kind", FIRES)
def test_fires_on_a_comparison_with(codebase, watching, kind):
    """
    However the comparison is written, it is found with file and line.
    """
    codebase("shop", FIRES[kind] + "\n")

    (finding,) = watching().found("TF306")

    assert finding.where in {"shop.py:1", "shop.py:2"}


def test_fires_on_a_settings_module_for_one_environment(codebase, watching):
    """
    settings/production.py is config that is grouped by name.
    """
    codebase("shop.settings.production", "DEBUG = False\n")

    assert [finding.culprit for finding in watching().found("TF306")] == ["shop.settings.production"]


QUIET = {
    "passed on": 'def init(sdk, config):\n    sdk.init(environment=config.environment, default="production")',
    "another question": 'def paid(order, env):\n    print(env)\n    return order.stage_name == "production"',
    "a list of names": 'NAMES = ["dev", "production"]',
    "a log level": 'def verbose(config):\n    return config.level == "debug"',
}


@pytest.mark.parametrize("kind", QUIET)
def test_quiet_on(codebase, watching, kind):
    """
    The name of a deploy as a label chooses nothing.
    """
    codebase("shop", QUIET[kind] + "\n")

    assert watching().found("TF306") == []
