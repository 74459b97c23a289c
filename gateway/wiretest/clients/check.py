"""What every Python client's script shares; check.cjs says what CLIENT holds."""
import json
import os
import traceback

settings = json.loads(os.environ["CLIENT"])
base, key, model = settings["base"], settings["key"], settings["model"]
direct, translated = settings["direct"], settings["translated"]

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
SEEN = "I see image/png of 70 bytes."
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
CLAIM = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "paid": {"type": "boolean"}},
         "required": ["city", "days", "paid"], "additionalProperties": False}
FILLED = {"city": "Zürich", "days": 14, "paid": True}


def echo(text):
    return f"You said: {text} – naïve 東京."


_words = 0


def fresh(kind):
    """A word for the upstream that no other run uses."""
    global _words
    _words += 1
    return f"wire:{kind}-py{os.getpid()}n{_words}"


def same(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def failure(run):
    try:
        run()
    except Exception as e:  # whatever it is, the check looks at it
        return e
    raise AssertionError("did not fail")


def main(checks):
    """Runs checks, a list of functions, and prints one line of JSON for each."""
    for run in checks:
        line = {"name": run.__name__.replace("_", " "), "ok": True}
        if line["name"].startswith(tuple(settings.get("without") or [])):
            continue
        try:
            got = run() or []
            line["requests"] = [got] if isinstance(got, str) else got
        except Exception as e:
            where = [f"{f.name}:{f.lineno}" for f in traceback.extract_tb(e.__traceback__) if "/clients/" in f.filename]
            line = {"name": line["name"], "ok": False, "detail": f"{type(e).__name__}: {e} at {' '.join(where)}"[:900]}
        print(json.dumps(line), flush=True)
