"""Django in one file, served by its own command."""

import os
import sys

from django.http import HttpResponse
from django.urls import path

DEBUG = False
SECRET_KEY = "not-one"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "manage"
visits = {}


def index(request):
    return HttpResponse("hello")


def visit(request, name):
    visits[len(visits)] = name
    return HttpResponse("welcome")


urlpatterns = [path("", index), path("visits/<str:name>", visit)]

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "manage")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
