"""AWS's official client for Python: Bedrock's Converse and ConverseStream."""
import base64
import json
import os

from check import CLAIM, FILLED, PIXEL, SEEN, WEATHER, base, direct, echo, failure, fresh, key, main, model, same, settings

os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
import boto3
from botocore.config import Config


def client(token=key, **config):
    os.environ["AWS_BEARER_TOKEN_BEDROCK"] = token  # it is read when a client is made
    return boto3.client("bedrock-runtime", endpoint_url=base, region_name="eu-central-1", config=Config(**config))


app = client()
TOOLS = {"tools": [{"toolSpec": {"name": "weather", "description": "The weather of a city.", "inputSchema": {"json": WEATHER}}}]}


def say(*content):
    return [{"role": "user", "content": [{"text": c} if isinstance(c, str) else c for c in content]}]


def ask(messages, by=app, **more):
    return by.converse(modelId=model, messages=messages, **more)


def text(r):
    return "".join(b.get("text", "") for b in r["output"]["message"]["content"])


def request(r):
    return r["ResponseMetadata"]["RequestId"]


def results(message):
    calls = [b["toolUse"] for b in message["content"] if "toolUse" in b]
    return {"role": "user", "content": [{"toolResult": {"toolUseId": c["toolUseId"], "content": [{"text": f"12 in {c['input']['city']}"}]}} for c in calls]}


def converse():
    r = ask(say("Hello"), system=[{"text": "Be brief."}], inferenceConfig={"maxTokens": 200})
    same([text(r), r["stopReason"]], [echo("Hello"), "end_turn"])
    assert r["usage"]["totalTokens"] == r["usage"]["inputTokens"] + r["usage"]["outputTokens"] > 0, r["usage"]
    return request(r)


def streamed():
    r = app.converse_stream(modelId=model, messages=say("Hello"))
    said, last, usage = "", None, None
    for e in r["stream"]:
        said += e.get("contentBlockDelta", {}).get("delta", {}).get("text", "")
        last = e.get("messageStop", {}).get("stopReason", last)
        usage = e.get("metadata", {}).get("usage", usage)
    same([said, last], [echo("Hello"), "end_turn"])
    assert usage["outputTokens"] > 1, usage
    return request(r)


def tools():
    messages = say("wire:parallel please")
    first = ask(messages, toolConfig=TOOLS)
    message = first["output"]["message"]
    same([[b["toolUse"]["input"]["city"] for b in message["content"] if "toolUse" in b], first["stopReason"]], [["Zürich1", "Zürich2"], "tool_use"])
    second = ask(messages + [message, results(message)], toolConfig=TOOLS)
    same(text(second), "The tool says: 12 in Zürich1 | 12 in Zürich2")
    return [request(first), request(second)]


def structured():
    schema = {"name": "claim", "schema": json.dumps(CLAIM)}
    r = ask(say("A claim."), outputConfig={"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}})
    same(json.loads(text(r)), FILLED)


def image():
    same(text(ask(say("What is this?", {"image": {"format": "png", "source": {"bytes": base64.b64decode(PIXEL)}}}))), SEEN)


def error_400():
    e = failure(lambda: ask(say("wire:status-400")))
    assert isinstance(e, app.exceptions.ValidationException) and e.response["Error"]["Message"] and request(e.response), repr(e)
    return request(e.response)


def unknown_key():
    e = failure(lambda: ask(say("Hello"), client("pk-nobody-knows")))
    assert isinstance(e, app.exceptions.AccessDeniedException) and "pk-nobody" not in str(e), repr(e)
    same(e.response["ResponseMetadata"]["RetryAttempts"], 0)


def limit_that_stays():
    e = failure(lambda: ask(say("wire:status-429"), client(retries={"total_max_attempts": 2, "mode": "standard"})))
    assert isinstance(e, app.exceptions.ThrottlingException), repr(e)
    same(e.response["ResponseMetadata"]["RetryAttempts"], 1)


def limit_that_passes():
    same(ask(say(fresh("once-429")))["stopReason"], "end_turn")


def server_error_that_passes():
    same(ask(say(fresh("once-503")))["stopReason"], "end_turn")


def not_to_be_asked_again():
    e = failure(lambda: ask(say("Hello"), client(settings["poor"])))
    same([e.response["Error"]["Code"], e.response["ResponseMetadata"]["RetryAttempts"]], ["ServiceQuotaExceededException", 0])
    return request(e.response)


main([converse, streamed, tools, structured, image, error_400, unknown_key, limit_that_stays, limit_that_passes, server_error_that_passes]
     + ([] if direct else [not_to_be_asked_again]))
