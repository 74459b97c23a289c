"""The official OpenAI client for Python."""
import asyncio
import json

import openai
from check import CLAIM, FILLED, PIXEL, SEEN, WEATHER, base, direct, echo, failure, fresh, key, main, model, same, settings, translated

app = openai.OpenAI(base_url=base, api_key=key)
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "The weather of a city.", "parameters": WEATHER, "strict": True}}]
FLAT = [{"type": "function", "name": "weather", "description": "The weather of a city.", "parameters": WEATHER, "strict": True}]
FORMAT = {"type": "json_schema", "json_schema": {"name": "claim", "strict": True, "schema": CLAIM}}


def say(content):
    return [{"role": "user", "content": content}]


def chat():
    r = app.chat.completions.create(model=model, messages=say("Hello"))
    same([r.choices[0].message.content, r.choices[0].finish_reason], [echo("Hello"), "stop"])
    assert r.usage.total_tokens == r.usage.prompt_tokens + r.usage.completion_tokens > 0
    return r._request_id


def chat_streamed():
    text, usage = "", None
    for c in app.chat.completions.create(model=model, messages=say("Hello"), stream=True, stream_options={"include_usage": True}):
        usage = c.usage or usage
        text += "".join(x.delta.content or "" for x in c.choices)
    same(text, echo("Hello"))
    assert usage.completion_tokens > 0


def chat_streamed_without_usage():
    for c in app.chat.completions.create(model=model, messages=say("Hello"), stream=True):
        assert c.usage is None and len(c.choices) == 1, c


def chat_streamed_async():
    async def run():
        text = ""
        async with openai.AsyncOpenAI(base_url=base, api_key=key) as client:
            async for c in await client.chat.completions.create(model=model, messages=say("Hello"), stream=True):
                text += c.choices[0].delta.content or ""
        return text
    same(asyncio.run(run()), echo("Hello"))


def chat_tools():
    messages = say("wire:parallel please")
    first = app.chat.completions.create(model=model, messages=messages, tools=TOOLS)
    calls = first.choices[0].message.tool_calls
    same([json.loads(c.function.arguments)["city"] for c in calls], ["Zürich1", "Zürich2"])
    messages.append(first.choices[0].message)
    messages += [{"role": "tool", "tool_call_id": c.id, "content": f"12 in {json.loads(c.function.arguments)['city']}"} for c in calls]
    second = app.chat.completions.create(model=model, messages=messages, tools=TOOLS)
    same(second.choices[0].message.content, "The tool says: 12 in Zürich1 | 12 in Zürich2")
    return [first._request_id, second._request_id]


def chat_tools_streamed():
    with app.chat.completions.stream(model=model, messages=say("wire:tool please"), tools=TOOLS) as stream:
        for _ in stream:
            pass
        call = stream.get_final_completion().choices[0].message.tool_calls[0]
    same([call.function.name, json.loads(call.function.arguments)], ["weather", {"city": "Zürich"}])


def chat_structured():
    r = app.chat.completions.create(model=model, messages=say("A claim."), response_format=FORMAT)
    same(json.loads(r.choices[0].message.content), FILLED)


def chat_structured_streamed():
    with app.chat.completions.stream(model=model, messages=say("A claim."), response_format=FORMAT) as stream:
        for _ in stream:
            pass
        same(json.loads(stream.get_final_completion().choices[0].message.content), FILLED)


def chat_image():
    r = app.chat.completions.create(model=model, messages=say([{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PIXEL}}]))
    same(r.choices[0].message.content, SEEN)


def responses():
    r = app.responses.create(model=model, input="Hello", instructions="Be brief.")
    same([r.output_text, r.status], [echo("Hello"), "completed"])
    assert r.usage.input_tokens > 0
    return r._request_id


def responses_streamed():
    number, kinds, text = -1, [], ""
    for e in app.responses.create(model=model, input="Hello", stream=True):
        assert e.sequence_number > number, e
        number = e.sequence_number
        kinds.append(e.type)
        text += e.delta if e.type == "response.output_text.delta" else ""
    same([text, kinds[0], kinds[-1]], [echo("Hello"), "response.created", "response.completed"])


def responses_tools():
    asked = say("wire:tool please")
    first = app.responses.create(model=model, input=asked, tools=FLAT)
    call = next(o for o in first.output if o.type == "function_call")
    second = app.responses.create(model=model, tools=FLAT, input=asked + first.output + [{"type": "function_call_output", "call_id": call.call_id, "output": "12 degrees"}])
    same(second.output_text, "The tool says: 12 degrees")


def responses_structured():
    r = app.responses.create(model=model, input="A claim.", text={"format": {"type": "json_schema", "name": "claim", "strict": True, "schema": CLAIM}})
    same(json.loads(r.output_text), FILLED)


def responses_image():
    r = app.responses.create(model=model, input=say([{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": "data:image/png;base64," + PIXEL, "detail": "auto"}]))
    same(r.output_text, SEEN)


def broken_stream():
    e = failure(lambda: list(app.chat.completions.create(model=model, messages=say("wire:broken and long enough"), stream=True)))
    assert isinstance(e, openai.APIError), repr(e)


def error_400():
    e = failure(lambda: app.chat.completions.create(model=model, messages=say("wire:status-400")))
    assert isinstance(e, openai.BadRequestError) and e.request_id, repr(e)
    return e.request_id


def unknown_key():
    e = failure(lambda: openai.OpenAI(base_url=base, api_key="pk-nobody-knows").chat.completions.create(model=model, messages=say("Hello")))
    assert isinstance(e, openai.AuthenticationError) and e.code and "pk-nobody" not in str(e), repr(e)


def limit_that_stays():
    e = failure(lambda: app.with_options(max_retries=1).chat.completions.create(model=model, messages=say("wire:status-429")))
    assert isinstance(e, openai.RateLimitError), repr(e)
    same(e.request.headers["x-stainless-retry-count"], "1")


def limit_that_passes():
    same(app.chat.completions.create(model=model, messages=say(fresh("once-429"))).choices[0].finish_reason, "stop")


def server_error_that_passes():
    same(app.chat.completions.create(model=model, messages=say(fresh("once-503"))).choices[0].finish_reason, "stop")


def server_error_that_stays():
    e = failure(lambda: app.with_options(max_retries=0).chat.completions.create(model=model, messages=say("wire:status-500")))
    assert isinstance(e, openai.InternalServerError), repr(e)


def not_to_be_asked_again():
    poor = openai.OpenAI(base_url=base, api_key=settings.get("poor") or key)
    e = failure(lambda: poor.chat.completions.create(model=model, messages=say(fresh("final-429") if direct else "Hello")))
    assert isinstance(e, openai.RateLimitError), repr(e)
    same(e.request.headers["x-stainless-retry-count"], "0")


def embeddings():
    r = app.embeddings.create(model=settings["embedding"], input=["one", "two"])
    plain = app.embeddings.create(model=settings["embedding"], input=["one", "two"], encoding_format="float")
    assert all(abs(a - b) < 1e-6 for x, y in zip(r.data, plain.data) for a, b in zip(x.embedding, y.embedding)) and len(r.data[1].embedding) == 8
    assert r.usage.prompt_tokens > 0


def models():
    names = [m.id for m in app.models.list()]
    assert model in names, names
    same(app.models.retrieve("acme/claims-large").id, "acme/claims-large")


def responses_go_on_from_one_kept():
    first = app.responses.create(model=model, input="Hello")
    second = app.responses.create(model=model, input="Again", previous_response_id=first.id)
    same([second.output_text, second.previous_response_id], [echo("Again"), first.id])
    e = failure(lambda: app.responses.create(model=model, input="Again", previous_response_id="resp_nobody"))
    assert isinstance(e, (openai.BadRequestError, openai.NotFoundError)), repr(e)


def files_and_batch():
    def line(name, content):
        body = {"model": model, "messages": say(content), "max_completion_tokens": 50}
        return json.dumps({"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}) + "\n"

    file = app.files.create(file=("lines.jsonl", (line("a", "Hello") + line("b", "Again")).encode()), purpose="batch")
    same(app.files.retrieve(file.id).filename, "lines.jsonl")
    made = app.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    done = app.batches.retrieve(made.id)
    same([done.id, done.status], [made.id, "completed"])
    lines = [json.loads(x) for x in app.files.content(done.output_file_id).text.splitlines()]
    same([[x["custom_id"], x["response"]["body"]["choices"][0]["message"]["content"]] for x in lines], [["a", echo("Hello")], ["b", echo("Again")]])
    other = app.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    same(app.batches.cancel(other.id).status, "cancelled")
    if not direct:  # lists are the gateway's own
        assert file.id in [f.id for f in app.files.list(purpose="batch")]
        ids = [b.id for b in app.batches.list(limit=1)]
        assert ids.index(other.id) < ids.index(made.id), ids
    assert isinstance(failure(lambda: app.batches.retrieve("batch_nobody")), openai.NotFoundError)
    return [file._request_id, made._request_id]


main([chat, chat_streamed, chat_streamed_without_usage, chat_streamed_async, chat_tools, chat_tools_streamed, chat_structured, chat_structured_streamed, chat_image,
      responses, responses_streamed, responses_tools, responses_structured, responses_image, broken_stream, error_400, unknown_key, limit_that_stays,
      limit_that_passes, server_error_that_passes, server_error_that_stays, not_to_be_asked_again]
     + ([] if translated else [embeddings, models, responses_go_on_from_one_kept, files_and_batch]))
