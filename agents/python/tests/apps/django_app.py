"""A Django project in one file, for WSGI and ASGI servers."""

import hashlib
import os

import django
from django.conf import settings
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

if not settings.configured:
    own = ["erne_agent.django.Middleware"] if os.environ.get("APP_AGENT") else []
    settings.configure(
        DEBUG=False,
        SECRET_KEY="only for tests",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        MIDDLEWARE=[*own, "django.middleware.common.CommonMiddleware"],
        LOGGING={
            "version": 1,
            "handlers": {"console": {"class": "logging.StreamHandler"}},
            "loggers": {"django.request": {"handlers": ["console"]}},
        },
        DATA_UPLOAD_MAX_MEMORY_SIZE=1 << 20,
    )
    django.setup()


def note(request):
    log = os.environ.get("APP_CALLS")
    if log:
        with open(log, "a") as file:
            file.write(request.path + "\n")


def index(request):
    note(request)
    return HttpResponse("<h1>Willkommen, f\u00fcnf \u00c4pfel</h1>")


def search(request):
    note(request)
    return JsonResponse(dict(request.GET.lists()))


def form(request):
    note(request)
    return JsonResponse({"form": dict(request.POST.lists()), "body": len(request.body)})


def upload(request):
    note(request)
    told = {}
    for name, file in request.FILES.items():
        data = file.read()
        told[name] = [file.name, len(data), hashlib.sha256(data).hexdigest()]
    return JsonResponse({"files": told, "form": dict(request.POST.lists())})


def raw(request):
    note(request)
    digest = hashlib.sha256()
    size = 0
    while piece := request.read(7001):
        digest.update(piece)
        size += len(piece)
    return JsonResponse({"size": size, "sha256": digest.hexdigest()})


def stream(request):
    note(request)
    return StreamingHttpResponse((bytes([i]) * 997 for i in range(50)), content_type="application/octet-stream")


def file(request):
    note(request)
    return FileResponse(open(__file__, "rb"))


def cookies(request):
    note(request)
    response = HttpResponse(request.headers.get("Cookie", "none"))
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    response.headers["X-Frame-Options"] = "DENY"
    return response


def nothing(request):
    note(request)
    return HttpResponse(status=204)


async def item(request, item):
    note(request)
    return JsonResponse({"item": item})


def broken(request):
    raise RuntimeError("the application's own error")


urlpatterns = [
    path("", index),
    path("search", search),
    path("form", form),
    path("upload", upload),
    path("raw", raw),
    path("stream", stream),
    path("file", file),
    path("cookies", cookies),
    path("nothing", nothing),
    path("items/<int:item>", item),
    path("broken", broken),
]


if os.environ.get("APP_SERVER") == "asgi":
    from django.core.asgi import get_asgi_application

    application = get_asgi_application()
else:
    from django.core.wsgi import get_wsgi_application

    application = get_wsgi_application()
