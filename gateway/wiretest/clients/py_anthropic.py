"""The official Anthropic client for Python."""
import asyncio
import json

import anthropic
from check import CLAIM, FILLED, PIXEL, SEEN, WEATHER, base, direct, echo, failure, fresh, key, main, model, same, settings, translated

app = anthropic.Anthropic(base_url=base, api_key=key)
TOOLS = [{"name": "weather", "description": "The weather of a city.", "input_schema": WEATHER}]


def ask(content, client=app, **more):
    return client.messages.create(**{"model": model, "max_tokens": 1024, "messages": [{"role": "user", "content": content}], **more})


def text(m):
    return "".join(b.text for b in m.content if b.type == "text")


def message():
    r = ask("Hello", system="Be brief.")
    same([text(r), r.stop_reason], [echo("Hello"), "end_turn"])
    assert r.usage.input_tokens > 0 and r.usage.output_tokens > 0
    return r._request_id


def message_by_bearer():
    same(text(ask("Hello", anthropic.Anthropic(base_url=base, api_key=None, auth_token=key))), echo("Hello"))


def streamed():
    with app.messages.stream(model=model, max_tokens=1024, messages=[{"role": "user", "content": "Hello"}]) as stream:
        said = list(stream.text_stream)
        final = stream.get_final_message()
    same(["".join(said), text(final), final.stop_reason], [echo("Hello"), echo("Hello"), "end_turn"])
    assert len(said) > 3 and final.usage.output_tokens > 1


def streamed_async():
    async def run():
        async with anthropic.AsyncAnthropic(base_url=base, api_key=key) as client:
            return [e.type async for e in await client.messages.create(model=model, max_tokens=64, messages=[{"role": "user", "content": "Hello"}], stream=True)]
    kinds = asyncio.run(run())
    same([kinds[0], kinds[-1]], ["message_start", "message_stop"])


def tools():
    messages = [{"role": "user", "content": "wire:parallel please"}]
    first = ask("", messages=messages, tools=TOOLS)
    calls = [b for b in first.content if b.type == "tool_use"]
    same([[c.input["city"] for c in calls], first.stop_reason], [["Zürich1", "Zürich2"], "tool_use"])
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": c.id, "content": f"12 in {c.input['city']}"} for c in calls]}]
    second = ask("", messages=messages, tools=TOOLS)
    same(text(second), "The tool says: 12 in Zürich1 | 12 in Zürich2")
    return [first._request_id, second._request_id]


def tools_streamed():
    with app.messages.stream(model=model, max_tokens=1024, tools=TOOLS, messages=[{"role": "user", "content": "wire:tool please"}]) as stream:
        call = next(b for b in stream.get_final_message().content if b.type == "tool_use")
    same([call.name, call.input], ["weather", {"city": "Zürich"}])


def structured():
    same(json.loads(text(ask("A claim.", output_config={"format": {"type": "json_schema", "schema": CLAIM}}))), FILLED)


def structured_streamed():
    with app.messages.stream(model=model, max_tokens=1024, output_config={"format": {"type": "json_schema", "schema": CLAIM}}, messages=[{"role": "user", "content": "A claim."}]) as stream:
        same(json.loads(text(stream.get_final_message())), FILLED)


def image():
    same(text(ask([{"type": "text", "text": "What is this?"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}])), SEEN)


def broken_stream():
    def run():
        with app.messages.stream(model=model, max_tokens=64, messages=[{"role": "user", "content": "wire:broken and long enough"}]) as stream:
            stream.get_final_message()
    e = failure(run)
    assert isinstance(e, anthropic.APIError), repr(e)


def error_400():
    e = failure(lambda: ask("wire:status-400"))
    assert isinstance(e, anthropic.BadRequestError) and e.request_id and e.body["error"]["type"] == "invalid_request_error", repr(e)
    return e.request_id


def unknown_key():
    e = failure(lambda: ask("Hello", anthropic.Anthropic(base_url=base, api_key="pk-nobody-knows")))
    assert isinstance(e, anthropic.AuthenticationError) and "pk-nobody" not in str(e), repr(e)


def overloaded():
    e = failure(lambda: ask("wire:status-529", app.with_options(max_retries=0)))
    assert isinstance(e, anthropic.InternalServerError), repr(e)


def limit_that_stays():
    e = failure(lambda: ask("wire:status-429", app.with_options(max_retries=1)))
    assert isinstance(e, anthropic.RateLimitError) and e.body["error"]["type"] == "rate_limit_error", repr(e)
    same(e.request.headers["x-stainless-retry-count"], "1")


def limit_that_passes():
    same(ask(fresh("once-429")).stop_reason, "end_turn")


def overload_that_passes():
    same(ask(fresh("once-529")).stop_reason, "end_turn")


def not_to_be_asked_again():
    poor = anthropic.Anthropic(base_url=base, api_key=settings.get("poor") or key)
    e = failure(lambda: ask(fresh("final-429") if direct else "Hello", poor))
    assert isinstance(e, anthropic.RateLimitError), repr(e)
    same(e.request.headers["x-stainless-retry-count"], "0")


def thinking_goes_back_signed():
    more = {"max_tokens": 4096, "tools": TOOLS, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    messages = [{"role": "user", "content": "wire:tool please"}]
    first = ask("", messages=messages, **more)
    same([b.type for b in first.content], ["thinking", "tool_use"])
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": first.content[1].id, "content": "12 degrees"}]}]
    same(text(ask("", messages=messages, **more)), "The tool says: 12 degrees")


def count_tokens():
    assert app.messages.count_tokens(model=model, messages=[{"role": "user", "content": "How many tokens are these?"}]).input_tokens > 3


def models():
    names = [m.id for m in app.models.list()]
    assert model in names, names
    same(app.models.retrieve(model).id, model)


def batch():
    batches = app.messages.batches

    def make(*more):
        params = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}
        return batches.create(requests=[{"custom_id": "a", "params": params}, *more])

    made = make()
    done = batches.retrieve(made.id)
    same([done.id, done.processing_status], [made.id, "ended"])
    if not direct:  # the client asks where results_url says, which there is no vendor's; and lists are the gateway's own
        same([[r.custom_id, text(r.result.message)] for r in batches.results(made.id)], [["a", echo("Hello")]])
        other = make()
        assert batches.cancel(other.id).processing_status != "in_progress"
        ids = [b.id for b in batches.list(limit=1)]
        assert ids.index(other.id) < ids.index(made.id), ids
        same(batches.delete(made.id).type, "message_batch_deleted")
    if not direct:  # a batch has one model on record
        other = {"model": "claude-haiku-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}
        e = failure(lambda: make({"custom_id": "b", "params": other}))
        assert isinstance(e, anthropic.BadRequestError) and e.body["error"]["code"] == "batch_mixed" and model in e.message and other["model"] in e.message, e
    assert isinstance(failure(lambda: batches.retrieve("msgbatch_nobody")), anthropic.NotFoundError)
    return [made._request_id, done._request_id]


main([message, message_by_bearer, streamed, streamed_async, tools, tools_streamed, structured, structured_streamed, image, broken_stream, error_400, unknown_key,
      overloaded, limit_that_stays, limit_that_passes, overload_that_passes, not_to_be_asked_again]
     + ([] if translated else [thinking_goes_back_signed, count_tokens, models, batch]))
