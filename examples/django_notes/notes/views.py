"""What the site answers."""

import json

from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_http_methods, require_safe
from site_of_notes.settings import service

from notes.models import Note


@require_http_methods(["GET", "POST"])
def notes(request: HttpRequest) -> JsonResponse:
    if request.method == "GET":
        return JsonResponse([each.as_dict() for each in Note.objects.order_by("-pk")[:20]], safe=False)
    kept = Note.objects.create(text=str(json.loads(request.body)["text"]))
    service.log.info("note.kept", note=kept.pk)
    return JsonResponse(kept.as_dict(), status=201)


@require_safe
def note(_request: HttpRequest, number: int) -> JsonResponse:
    return JsonResponse(get_object_or_404(Note, pk=number).as_dict())
