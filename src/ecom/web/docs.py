"""The /docs page: every call of the OpenAPI description on one plain page that needs no script and no other host."""

from __future__ import annotations

from typing import Any

import jinja2
from litestar.connection import Request
from litestar.enums import MediaType
from litestar.openapi.plugins import OpenAPIRenderPlugin

_PAGE = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ info.title }}</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
  section { border-top: 1px solid #8884; padding: .5rem 0; }
  code, pre { font: .9em ui-monospace, monospace; }
  .method { display: inline-block; min-width: 4.5rem; font-weight: 600; }
  pre { overflow-x: auto; background: #8881; padding: .75rem; }
</style>
</head>
<body>
<h1>{{ info.title }}</h1>
<p>{{ info.description or "" }} The same as JSON: <a href="/openapi.json">/openapi.json</a>.</p>
{% for path, item in paths.items() %}
  {% for method, call in item.items() if method in methods %}
<section id="{{ call.operationId }}">
  <h2><code><span class="method">{{ method | upper }}</span> {{ path }}</code></h2>
  <p>{{ call.description or call.summary or "" }}</p>
    {% if call.parameters %}
  <ul>
      {% for parameter in call.parameters %}
    <li><code>{{ parameter.name }}</code> in {{ parameter.in }}{{ ", required" if parameter.required }}</li>
      {% endfor %}
  </ul>
    {% endif %}
    {% if call.requestBody %}
  <pre>{{ call.requestBody.content | tojson(indent=2) }}</pre>
    {% endif %}
</section>
  {% endfor %}
{% else %}
<p>This process answers no calls of its own.</p>
{% endfor %}
{% if schemas %}
<h2>Bodies</h2>
  {% for name, schema in schemas.items() %}
<details><summary><code>{{ name }}</code></summary><pre>{{ schema | tojson(indent=2) }}</pre></details>
  {% endfor %}
{% endif %}
</body>
</html>
""")
_METHODS = frozenset({"get", "put", "post", "delete", "patch", "head"})


class PlainPage(OpenAPIRenderPlugin):
    """Renders the description with Jinja2 alone; the usual viewers load their scripts from elsewhere."""

    def __init__(self) -> None:
        super().__init__(path="/", media_type=MediaType.HTML)

    def render(self, _request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The page."""
        return _PAGE.render(
            info=openapi_schema["info"],
            paths=openapi_schema.get("paths") or {},
            schemas=(openapi_schema.get("components") or {}).get("schemas") or {},
            methods=_METHODS,
        ).encode()
