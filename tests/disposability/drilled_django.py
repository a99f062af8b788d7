"""The drilled WSGI views as a Django project: `python -m tests.disposability.drilled_django runserver`."""

import os
import random
import sys
import threading
import time

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path

import twelvefactor as tf
from tests.disposability.drilled import new_id, say

PLAIN = bool(os.environ.get("DRILL_PLAIN"))
if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="drilled",
        WSGI_APPLICATION="tests.disposability.drilled_django.application",
    )
    django.setup()


def work(request):
    time.sleep(random.uniform(0.05, 0.3))
    return HttpResponse("worked")


def stream(request):
    def parts():
        for _ in range(20):
            yield b"part\n"
            time.sleep(0.1)

    return StreamingHttpResponse(parts(), content_type="text/plain")


def background(request):
    def run(id):
        say("drill.begun", id)
        time.sleep(1)
        say("drill.done", id)

    threading.Thread(target=run, args=(new_id("thread"),)).start()
    return HttpResponse("accepted")


def readyz(request):
    return HttpResponse("ok")


urlpatterns = [path("work", work), path("stream", stream), path("background", background)]
if PLAIN:
    urlpatterns.append(path("readyz", readyz))
    application = get_wsgi_application()
else:
    service = tf.Service("drilled")
    application = service.wsgi(get_wsgi_application())

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
