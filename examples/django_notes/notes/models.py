"""What is kept."""

from django.db import models


class Note(models.Model):
    text = models.TextField()

    def __str__(self) -> str:
        return self.text[:50]

    def as_dict(self) -> dict:
        return {"id": self.pk, "text": self.text}
