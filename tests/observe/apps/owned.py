"""An app that knows the library: its own service sees more than an observer."""

import twelvefactor as tf

service = tf.Service("owned", packages=["owned"])


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


app = service.asgi(hello)
