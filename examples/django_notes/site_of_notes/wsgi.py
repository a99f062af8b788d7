"""The application that a server serves."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_of_notes.settings")
django = get_wsgi_application()

from site_of_notes.settings import service  # noqa: E402 - Django is set up first

application = service.wsgi(django)
service.process("web", application)
