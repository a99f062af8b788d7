"""Django's settings: everything that differs between deploys comes from the config."""

import twelvefactor as tf
from site_of_notes.config import Config

service = tf.Service("django-notes", Config)

service.attach(service.config.database_url)  # so that the start waits for it, and readiness knows how it is
DATABASES = {"default": service.config.database_url.django()}
SECRET_KEY = service.config.secret_key.get_secret_value()
ALLOWED_HOSTS = list(service.config.allowed_hosts)
INSTALLED_APPS = ["twelvefactor.integrations.django", "notes"]
MIDDLEWARE = ["twelvefactor.integrations.django.Middleware"]  # first of all
ROOT_URLCONF = "site_of_notes.urls"
WSGI_APPLICATION = "site_of_notes.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGGING_CONFIG = None  # the service's event stream takes its place
USE_TZ = True
