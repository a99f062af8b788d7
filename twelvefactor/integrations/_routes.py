"""What a framework knows of its own routes: the template that a request matched, the paths it answers itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, MutableMapping

    Template = Callable[[Any, MutableMapping[str, Any]], str | None]


def framework(app: Any) -> tuple[str, Any]:
    """
    The framework whose application *app* is, by the package of its class, and that application.

    A bound method (``flask_app.wsgi_app``) speaks for its object, a wrapper for the inner app that it keeps at ``app``.
    """
    seen = 0
    while app is not None and seen < _DEEPEST:
        app = getattr(app, "__self__", app)
        for base in type(app).__mro__:
            name = base.__module__.partition(".")[0]
            if name in _STATIC_PATHS:
                return name, app
        app, seen = getattr(app, "app", None), seen + 1
    return "", None


_DEEPEST = 20


def template(app_kind: str, app: Any, scope: MutableMapping[str, Any]) -> str | None:
    """The route template that *scope* (ASGI) or *environ* (WSGI) matched, where the framework knows it."""
    find = _TEMPLATES.get(app_kind)
    return None if find is None else find(app, scope)


def _starlette(app: Any, scope: MutableMapping[str, Any]) -> str | None:
    path = _fastapi_path(scope) or getattr(scope.get("route"), "path", None)
    if path is None or "app_root_path" not in scope:
        return path
    mounted = scope["root_path"][len(scope["app_root_path"]) :]
    if mounted and scope.get("path_params"):
        mounted = _mounts(app.routes, mounted) or mounted
    return f"{mounted}{path}"


def _fastapi_path(scope: MutableMapping[str, Any]) -> str | None:
    """The whole path of a route that an included router lends its prefix, as FastAPI 0.140 and later keep it apart."""
    context = scope.get("fastapi", _NOTHING).get("effective_route_context")
    route = scope.get("route")
    if context is None or (hasattr(route, "path_regex") and context.original_route is not route):
        return None  # a mounted app has routed on
    return context.path or getattr(context.starlette_route, "path", None)


_NOTHING: dict[str, Any] = {}


def _mounts(routes: Iterable[Any], path: str) -> str | None:
    """The templates of the mounts that *path* goes through, to its end; None where they cannot be found."""
    for route in routes:
        inner = getattr(route, "routes", None) or ()
        if not hasattr(route, "path_regex"):  # a host, or what groups routes without a path of its own
            found = _mounts(inner, path)
        elif hasattr(route, "endpoint") or (match := route.path_regex.match(f"{path}/")) is None:
            continue
        elif not (rest := match["path"].rstrip("/")):
            return str(route.path)
        elif (below := _mounts(inner, f"/{rest}")) is not None:
            found = f"{route.path}{below}"
        else:
            continue
        if found is not None:
            return found
    return None


def _litestar(app: Any, scope: MutableMapping[str, Any]) -> str | None:
    del app
    found: str | None = scope.get("path_template")
    return found


def _flask(app: Any, environ: MutableMapping[str, Any]) -> str | None:
    request = environ.get("werkzeug.request")  # gone with Flask's context, which an exception ends
    if request is not None:
        return None if request.url_rule is None else str(request.url_rule.rule)
    return _werkzeug_rule(app.url_map.bind_to_environ(environ))


def _quart(app: Any, scope: MutableMapping[str, Any]) -> str | None:
    root, path = scope.get("root_path") or "", scope["path"]
    adapter = app.url_map.bind(
        server_name="localhost",
        script_name=root or None,
        path_info=path[len(root) :] if root and path.startswith(root) else path,
        default_method=scope.get("method", "GET"),
    )
    return _werkzeug_rule(adapter, websocket=scope["type"] == "websocket")


def _werkzeug_rule(adapter: Any, *, websocket: bool = False) -> str | None:
    from werkzeug.exceptions import HTTPException

    try:
        rule, _ = adapter.match(return_rule=True, websocket=websocket)
    except HTTPException:
        return None
    return str(rule.rule)


def _django(app: Any, scope: MutableMapping[str, Any]) -> str | None:
    del app
    if "twelvefactor.route" in scope:  # our middleware was in Django's list, and saw what Django matched
        found: str | None = scope["twelvefactor.route"]
        return found
    from django.urls import Resolver404, resolve

    path, root = scope.get("path") or scope.get("PATH_INFO") or "/", scope.get("root_path") or ""
    try:
        return f"/{resolve(path[len(root) :] if root and path.startswith(root) else path).route}"
    except Resolver404:
        return None


_TEMPLATES: dict[str, Template] = {
    "starlette": _starlette,
    "fastapi": _starlette,
    "litestar": _litestar,
    "flask": _flask,
    "quart": _quart,
    "django": _django,
}


def routed_by(app_kind: str, app: Any, paths: Iterable[str]) -> frozenset[str]:
    """Those of *paths* that the app routes by their own name; a catch-all does not count."""
    if not app_kind:
        return frozenset()
    return frozenset(paths) & frozenset(_STATIC_PATHS[app_kind](app))


def _starlette_paths(app: Any, prefix: str = "") -> Iterator[str]:
    for route in getattr(app, "routes", None) or ():
        path = prefix + (getattr(route, "path", None) or "")
        included = getattr(route, "effective_route_contexts", None)  # FastAPI's routers, with the prefixes they got
        if included is not None:
            for context in included():
                yield prefix + str(context.path or getattr(context.starlette_route, "path", ""))
        elif hasattr(route, "endpoint"):
            yield path
        else:
            yield from _starlette_paths(route, path)


def _litestar_paths(app: Any) -> Iterator[str]:
    for route in app.routes:
        yield str(route.path)


def _werkzeug_paths(app: Any) -> Iterator[str]:
    for rule in app.url_map.iter_rules():
        yield str(rule.rule)


def _django_paths(app: Any) -> Iterator[str]:
    del app
    from django.urls import get_resolver

    yield from _django_patterns(get_resolver().url_patterns, "/")


def _django_patterns(patterns: Iterable[Any], prefix: str) -> Iterator[str]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        children = getattr(pattern, "url_patterns", None)
        if children is None:
            yield path
        else:
            yield from _django_patterns(children, path)


_STATIC_PATHS: dict[str, Callable[[Any], Iterator[str]]] = {
    "starlette": _starlette_paths,
    "fastapi": _starlette_paths,
    "litestar": _litestar_paths,
    "flask": _werkzeug_paths,
    "quart": _werkzeug_paths,
    "django": _django_paths,
}


def client_left(error: BaseException) -> bool:
    """Whether *error* only says that the client went away, in the words of a framework or a server."""
    return any((kind.__module__, kind.__name__) in CLIENT_LEFT for kind in type(error).__mro__)


CLIENT_LEFT = frozenset(
    {
        ("starlette.requests", "ClientDisconnect"),
        ("starlette.websockets", "WebSocketDisconnect"),
        ("starlette.websockets", "WebSocketDisconnected"),
        ("litestar.exceptions.websocket_exceptions", "WebSocketDisconnect"),
        ("uvicorn.protocols.utils", "ClientDisconnected"),
        ("gunicorn.asgi.protocol", "ClientDisconnected"),
        ("gunicorn.asgi.websocket", "WebSocketDisconnected"),
    }
)
