"""The project's applications, as its `asgi.py` and `wsgi.py` would hold them."""

from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from real_django import service

in_list = get_asgi_application()
asgi = service.asgi(get_asgi_application())
wsgi = service.wsgi(get_wsgi_application())
