"""A Django project in one file: views of every kind, and its URLs."""

import django
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import include, path, re_path

import twelvefactor as tf

if not settings.configured:
    settings.configure(
        ROOT_URLCONF="tests.integrations.django_project",
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="for tests",  # noqa: S106 - for tests
        LOGGING_CONFIG=None,
        USE_TZ=True,
    )
    django.setup()


def show(request, item):
    work = tf.current_work()
    return JsonResponse({"item": item, "kind": work and work.kind, "request_id": work and work.request_id})


async def ashow(request, item):
    work = tf.current_work()
    return JsonResponse({"item": item, "kind": work and work.kind})


def stream(request):
    return StreamingHttpResponse(iter([b"a", b"bc"]), content_type="text/event-stream")


async def astream(request):
    async def chunks():
        for chunk in (b"a", b"bc"):
            yield chunk

    return StreamingHttpResponse(chunks(), content_type="text/event-stream")


def upload(request):
    return JsonResponse({"bytes": len(request.body), "query": request.GET.dict()})


def fails(request):
    raise ValueError("nobody handles this")


def denied(request):
    raise PermissionDenied


def mine(request):
    return HttpResponse("mine")


shop = [path("items/<int:item>", show), path("aitems/<int:item>", ashow)]
urlpatterns = [
    path("shop/", include(shop)),
    re_path(r"^old/(?P<item>\d+)$", show),
    path("stream", stream),
    path("astream", astream),
    path("upload", upload),
    path("fails", fails),
    path("denied", denied),
]


class WithReadyz:
    """URLs that have a probe's path among them."""

    urlpatterns = [*urlpatterns, path("readyz", mine)]
