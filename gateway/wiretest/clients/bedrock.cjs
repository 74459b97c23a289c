// AWS's official client for node: Bedrock's Converse and ConverseStream.
const { settings, expect, same, failure, fresh, pixel, seen, echo, main } = require('./check.cjs');

process.env.AWS_BEARER_TOKEN_BEDROCK = settings.key;
process.env.AWS_EC2_METADATA_DISABLED = 'true';
const aws = require('@aws-sdk/client-bedrock-runtime');

const client = (more = {}) => new aws.BedrockRuntimeClient({ endpoint: settings.base, region: 'eu-central-1', ...more });
const keyed = (token) => client({ token: { token }, authSchemePreference: ['httpBearerAuth'] });
const app = client();
const modelId = settings.model;
const say = (...content) => [{ role: 'user', content: content.map((c) => (typeof c === 'string' ? { text: c } : c)) }];
const json = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const toolConfig = { tools: [{ toolSpec: { name: 'weather', description: 'The weather of a city.', inputSchema: { json } } }] };
const claim = { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' }, paid: { type: 'boolean' } }, required: ['city', 'days', 'paid'], additionalProperties: false };
const filled = { city: 'Zürich', days: 14, paid: true };
const outputConfig = { textFormat: { type: 'json_schema', structure: { jsonSchema: { name: 'claim', schema: JSON.stringify(claim) } } } };
const ask = (messages, more = {}, by = app) => by.send(new aws.ConverseCommand({ modelId, messages, ...more }));
const stream = (messages, more = {}, by = app) => by.send(new aws.ConverseStreamCommand({ modelId, messages, ...more }));
const text = (r) => r.output.message.content.map((b) => b.text ?? '').join('');
const id = (r) => r.$metadata.requestId;

// The message that a stream tells, and what stands around it.
async function collect(r) {
  const out = { kinds: [], words: 0, content: [], stop: null, usage: null, id: id(r) };
  for await (const event of r.stream) {
    const [[kind, e]] = Object.entries(event);
    if (out.kinds.at(-1) !== kind) out.kinds.push(kind);
    if (kind === 'contentBlockStart' && e.start.toolUse) out.content[e.contentBlockIndex] = { toolUse: { ...e.start.toolUse, input: '' } };
    if (kind === 'contentBlockDelta') {
      const { text, toolUse, reasoningContent } = e.delta;
      const b = (out.content[e.contentBlockIndex] ??= reasoningContent ? { reasoningContent: { reasoningText: { text: '' } } } : { text: '' });
      if (text !== undefined) { b.text += text; out.words++; }
      if (toolUse) b.toolUse.input += toolUse.input;
      if (reasoningContent?.text) b.reasoningContent.reasoningText.text += reasoningContent.text;
      if (reasoningContent?.signature) b.reasoningContent.reasoningText.signature = reasoningContent.signature;
    }
    if (kind === 'messageStop') out.stop = e.stopReason;
    if (kind === 'metadata') out.usage = e.usage;
  }
  for (const b of out.content) if (b.toolUse) b.toolUse.input = JSON.parse(b.toolUse.input || '{}');
  return out;
}

const results = (message) => ({ role: 'user', content: message.content.filter((b) => b.toolUse).map(({ toolUse }) => ({ toolResult: { toolUseId: toolUse.toolUseId, content: [{ text: `12 in ${toolUse.input.city}` }] } })) });

const checks = {
  async 'converse'() {
    const r = await ask(say('Hello'), { system: [{ text: 'Be brief.' }], inferenceConfig: { maxTokens: 200, temperature: 0.5 } });
    same([text(r), r.stopReason, r.output.message.role], [echo('Hello'), 'end_turn', 'assistant']);
    expect(r.usage.inputTokens > 0 && r.usage.totalTokens === r.usage.inputTokens + r.usage.outputTokens, r.usage);
    return id(r);
  },
  async 'streamed'() {
    const got = await collect(await stream(say('Hello')));
    same([got.content[0].text, got.stop, got.kinds.filter((k) => k !== 'contentBlockStart')], [echo('Hello'), 'end_turn', ['messageStart', 'contentBlockDelta', 'contentBlockStop', 'messageStop', 'metadata']]);
    expect(got.words > 3 && got.usage.inputTokens > 0 && got.usage.outputTokens > 1, got);
    return got.id;
  },
  async 'tools'() {
    const messages = say('wire:parallel please');
    const first = await ask(messages, { toolConfig });
    const { message } = first.output;
    same([message.content.filter((b) => b.toolUse).map((b) => [b.toolUse.name, b.toolUse.input.city]), first.stopReason], [[['weather', 'Zürich1'], ['weather', 'Zürich2']], 'tool_use']);
    messages.push(message, results(message));
    const second = await ask(messages, { toolConfig });
    same(text(second), 'The tool says: 12 in Zürich1 | 12 in Zürich2');
    return [id(first), id(second)];
  },
  async 'tools streamed'() {
    const messages = say('wire:tool please');
    const first = await collect(await stream(messages, { toolConfig }));
    const message = { role: 'assistant', content: first.content.filter(Boolean) };
    same([message.content.filter((b) => b.toolUse).map((b) => b.toolUse.input), first.stop], [[{ city: 'Zürich' }], 'tool_use']);
    messages.push(message, results(message));
    const second = await collect(await stream(messages, { toolConfig }));
    same(second.content.map((b) => b.text).join(''), 'The tool says: 12 in Zürich');
    return [first.id, second.id];
  },
  async 'forced tool'() {
    const r = await ask(say('Hello'), { toolConfig: { ...toolConfig, toolChoice: { tool: { name: 'weather' } } } });
    same(r.output.message.content.find((b) => b.toolUse).toolUse.input, { city: 'Zürich' });
  },
  async 'structured'() {
    same(JSON.parse(text(await ask(say('A claim.'), { outputConfig }))), filled);
  },
  async 'image'() {
    const r = await ask(say('What is this?', { image: { format: 'png', source: { bytes: Buffer.from(pixel, 'base64') } } }));
    same(text(r), seen);
    return id(r);
  },
  async 'length'() {
    same((await ask(say('wire:length please'), { inferenceConfig: { maxTokens: 6 } })).stopReason, 'max_tokens');
  },
  async 'broken stream'() {
    const e = await failure(async () => {
      const got = await collect(await stream(say('wire:broken and long enough')));
      expect(got.stop, 'broken off');
    });
    expect(e instanceof aws.BedrockRuntimeServiceException || e.message === 'broken off', String(e));
  },
  async 'error 400'() {
    const e = await failure(() => ask(say('wire:status-400')));
    expect(e instanceof aws.ValidationException && e.message && e.$metadata.requestId && e.$metadata.attempts === 1, `${e} ${JSON.stringify(e)}`);
    return e.$metadata.requestId;
  },
  async 'error 400 of a stream'() {
    const e = await failure(() => stream(say('wire:status-400')));
    expect(e instanceof aws.ValidationException && e.message, `${e} ${JSON.stringify(e)}`);
  },
  async 'unknown key'() {
    const e = await failure(() => ask(say('Hello'), {}, keyed('pk-nobody-knows')));
    expect(e instanceof aws.AccessDeniedException && e.$metadata.attempts === 1 && !e.message.includes('pk-nobody'), `${e} ${JSON.stringify(e)}`);
  },
  async 'limit that stays'() {
    const e = await failure(() => ask(say('wire:status-429'), {}, client({ maxAttempts: 2 })));
    expect(e instanceof aws.ThrottlingException && e.$metadata.attempts === 2, `${e} ${JSON.stringify(e)}`);
    return e.$metadata.requestId;
  },
  async 'limit that passes'() {
    same((await ask(say(fresh('once-429')))).stopReason, 'end_turn');
  },
  async 'server error that passes'() {
    same((await ask(say(fresh('once-503')))).stopReason, 'end_turn');
  },
  async 'server error that stays'() {
    const e = await failure(() => ask(say('wire:status-500'), {}, client({ maxAttempts: 1 })));
    expect(e instanceof aws.BedrockRuntimeServiceException && e.$fault === 'server' && e.$metadata.requestId, `${e} ${JSON.stringify(e)}`);
    return e.$metadata.requestId;
  },
};

// A budget that is spent is refused by the gateway alone.
const gateway = {
  async 'not to be asked again'() {
    const e = await failure(() => ask(say('Hello'), {}, keyed(settings.poor)));
    expect(e instanceof aws.ServiceQuotaExceededException && e.$metadata.attempts === 1, `${e} ${JSON.stringify(e)}`);
    return e.$metadata.requestId;
  },
};

const own = {
  async 'thoughts go back signed'() {
    const more = { toolConfig, additionalModelRequestFields: { thinking: { type: 'enabled', budget_tokens: 1024 } } };
    const messages = say('wire:tool please');
    const first = await collect(await stream(messages, more));
    expect(first.content[0].reasoningContent?.reasoningText.signature, first);
    const message = { role: 'assistant', content: first.content };
    messages.push(message, results(message));
    same(text(await ask(messages, more)), 'The tool says: 12 in Zürich');
    message.content[0].reasoningContent.reasoningText.signature += 'x';
    expect((await failure(() => ask(messages, more))) instanceof aws.ValidationException, 'a changed signature was taken');
  },
};

main({ ...checks, ...(settings.direct ? {} : gateway), ...(settings.translated ? {} : own) });
