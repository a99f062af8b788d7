"""A Django project as a server loads it: settings, URLs and the applications in one module."""

import sys

import twelvefactor as tf

service = tf.Service("real", packages=["real_django"])
SECRET_KEY = "for tests"  # noqa: S105 - for tests
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = __name__
INSTALLED_APPS = ["twelvefactor.integrations.django"]
MIDDLEWARE = ["twelvefactor.integrations.django.Middleware"]
LOGGING_CONFIG = None
USE_TZ = True
WSGI_APPLICATION = f"{__name__}.application"
DATABASES = {}


def hello(request, name):
    from django.http import HttpResponse

    return HttpResponse(f"hello {name}")


def fails(request):
    raise ValueError("nobody handles this")


def __getattr__(name):
    """What needs Django to be set up is made when it is asked for."""
    from django.urls import path

    if name == "urlpatterns":
        return [path("hello/<str:name>", hello), path("fails", fails)]
    if name == "application":
        from django.core.wsgi import get_wsgi_application

        return get_wsgi_application()
    raise AttributeError(name)


if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
