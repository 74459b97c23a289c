// The official Anthropic client for node.
const { settings, expect, same, count, failure, fresh, pixel, seen, echo, main } = require('./check.cjs');
const Anthropic = require('@anthropic-ai/sdk').default;

const app = new Anthropic({ baseURL: settings.base, apiKey: settings.key });
const model = settings.model;
const say = (content) => [{ role: 'user', content }];
const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const tools = [{ name: 'weather', description: 'The weather of a city.', input_schema: schema }];
const claim = { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' }, paid: { type: 'boolean' } }, required: ['city', 'days', 'paid'], additionalProperties: false };
const filled = { city: 'Zürich', days: 14, paid: true };
const ask = (content, more = {}) => ({ model, max_tokens: 1024, messages: say(content), ...more });
const text = (m) => m.content.filter((b) => b.type === 'text').map((b) => b.text).join('');

const checks = {
  async 'message'() {
    const { data, request_id } = await app.messages.create(ask('Hello', { system: 'Be brief.', metadata: { user_id: 'u-1' } })).withResponse();
    same([text(data), data.stop_reason, data.type, data.role], [echo('Hello'), 'end_turn', 'message', 'assistant']);
    expect(data.usage.input_tokens > 0 && data.usage.output_tokens > 0 && request_id === data._request_id, data.usage);
    return request_id;
  },
  async 'message by bearer'() {
    const data = await new Anthropic({ baseURL: settings.base, apiKey: null, authToken: settings.key }).messages.create(ask('Hello'));
    same(text(data), echo('Hello'));
    return data._request_id;
  },
  async 'streamed'() {
    const { data, request_id } = await app.messages.create(ask('Hello', { stream: true })).withResponse();
    const kinds = [], words = [];
    let usage;
    for await (const e of data) {
      if (kinds.at(-1) !== e.type) kinds.push(e.type);
      if (e.type === 'content_block_delta') words.push(e.delta.text);
      if (e.type === 'message_delta') usage = e.usage;
    }
    same([words.join(''), kinds], [echo('Hello'), ['message_start', 'content_block_start', 'content_block_delta', 'content_block_stop', 'message_delta', 'message_stop']]);
    expect(words.length > 3 && usage.output_tokens > 1, usage);
    return request_id;
  },
  async 'stream helper'() {
    const run = app.messages.stream(ask('Hello'));
    const final = await run.finalMessage();
    same([text(final), final.stop_reason], [echo('Hello'), 'end_turn']);
    expect(final.usage.input_tokens > 0 && final.usage.output_tokens > 1, final.usage);
  },
  async 'tools'() {
    const messages = say('wire:parallel please');
    const first = await app.messages.create(ask('', { messages, tools }));
    const calls = first.content.filter((b) => b.type === 'tool_use');
    same([calls.map((c) => c.input.city), first.stop_reason], [['Zürich1', 'Zürich2'], 'tool_use']);
    messages.push({ role: 'assistant', content: first.content }, { role: 'user', content: calls.map((c) => ({ type: 'tool_result', tool_use_id: c.id, content: `12 in ${c.input.city}` })) });
    const second = await app.messages.create(ask('', { messages, tools }));
    same(text(second), 'The tool says: 12 in Zürich1 | 12 in Zürich2');
    return [first._request_id, second._request_id];
  },
  async 'tools streamed'() {
    const messages = say('wire:tool please');
    const first = await app.messages.stream(ask('', { messages, tools })).finalMessage();
    const call = first.content.find((b) => b.type === 'tool_use');
    same([call.name, call.input, first.stop_reason], ['weather', { city: 'Zürich' }, 'tool_use']);
    messages.push({ role: 'assistant', content: first.content }, { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: [{ type: 'text', text: '12 degrees' }] }] });
    same(text(await app.messages.stream(ask('', { messages, tools })).finalMessage()), 'The tool says: 12 degrees');
  },
  async 'forced tool'() {
    const data = await app.messages.create(ask('Hello', { tools, tool_choice: { type: 'tool', name: 'weather' } }));
    same(data.content.find((b) => b.type === 'tool_use').input, { city: 'Zürich' });
  },
  async 'structured'() {
    const data = await app.messages.create(ask('A claim.', { output_config: { format: { type: 'json_schema', schema: claim } } }));
    same(JSON.parse(text(data)), filled);
  },
  async 'structured streamed'() {
    const data = await app.messages.stream(ask('A claim.', { output_config: { format: { type: 'json_schema', schema: claim } } })).finalMessage();
    same(JSON.parse(text(data)), filled);
  },
  async 'image'() {
    const data = await app.messages.create(ask([{ type: 'text', text: 'What is this?' }, { type: 'image', source: { type: 'base64', media_type: 'image/png', data: pixel } }]));
    same(text(data), seen);
  },
  async 'length'() {
    same((await app.messages.create(ask('wire:length please', { max_tokens: 6 }))).stop_reason, 'max_tokens');
  },
  async 'broken stream'() {
    const e = await failure(() => app.messages.stream(ask('wire:broken and long enough')).finalMessage());
    expect(e instanceof Anthropic.APIError, String(e));
  },
  async 'error 400'() {
    const e = await failure(() => app.messages.create(ask('wire:status-400')));
    expect(e instanceof Anthropic.BadRequestError && e.requestID && e.error.type === 'error' && e.error.error.type === 'invalid_request_error', `${e} ${JSON.stringify(e.error)}`);
    return e.requestID;
  },
  async 'unknown key'() {
    const [n, e] = await count(() => failure(() => new Anthropic({ baseURL: settings.base, apiKey: 'pk-nobody-knows' }).messages.create(ask('Hello'))));
    expect(n === 1 && e instanceof Anthropic.AuthenticationError && e.error.error.type === 'authentication_error' && !e.message.includes('pk-nobody'), String(e));
  },
  async 'overloaded'() {
    const e = await failure(() => app.messages.create(ask('wire:status-529'), { maxRetries: 0 }));
    expect(e instanceof Anthropic.InternalServerError && e.requestID, String(e));
    return e.requestID;
  },
  async 'limit that stays'() {
    const [n, e] = await count(() => failure(() => app.messages.create(ask('wire:status-429'), { maxRetries: 1 })));
    expect(n === 2 && e instanceof Anthropic.RateLimitError && e.error.error.type === 'rate_limit_error', `${n} ${e}`);
  },
  async 'limit that passes'() {
    same((await app.messages.create(ask(fresh('once-429')))).stop_reason, 'end_turn');
  },
  async 'overload that passes'() {
    same((await app.messages.create(ask(fresh('once-529')))).stop_reason, 'end_turn');
  },
  async 'not to be asked again'() {
    const poor = new Anthropic({ baseURL: settings.base, apiKey: settings.poor ?? settings.key });
    const [n, e] = await count(() => failure(() => poor.messages.create(ask(settings.direct ? fresh('final-429') : 'Hello'))));
    expect(n === 1 && e instanceof Anthropic.RateLimitError, `${n} ${e}`);
    return e.requestID;
  },
};

const own = {
  async 'thinking goes back signed'() {
    const thinking = { type: 'enabled', budget_tokens: 1024 };
    const messages = say('wire:tool please');
    const first = await app.messages.stream(ask('', { max_tokens: 4096, messages, tools, thinking })).finalMessage();
    same(first.content.map((b) => b.type), ['thinking', 'tool_use']);
    expect(first.content[0].signature.startsWith('gAAAA+/'), first.content[0]);
    messages.push({ role: 'assistant', content: first.content }, { role: 'user', content: [{ type: 'tool_result', tool_use_id: first.content[1].id, content: '12 degrees' }] });
    same(text(await app.messages.create(ask('', { max_tokens: 4096, messages, tools, thinking }))), 'The tool says: 12 degrees');
    messages[1].content[0].signature += 'x';
    const e = await failure(() => app.messages.create(ask('', { max_tokens: 4096, messages, tools, thinking })));
    expect(e instanceof Anthropic.BadRequestError, 'a changed signature was taken');
  },
  async 'beta'() {
    const data = await app.beta.messages.create(ask('Hello', { betas: ['context-management-2025-06-27'], context_management: { edits: [{ type: 'clear_tool_uses_20250919' }] } }));
    same(text(data), echo('Hello'));
  },
  async 'cache read'() {
    const data = await app.messages.create(ask('wire:cached '.repeat(20), { system: [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } }] }));
    expect(data.usage.cache_read_input_tokens > 0, data.usage);
  },
  async 'count tokens'() {
    const data = await app.messages.countTokens({ model, messages: say('How many tokens are these?') });
    expect(data.input_tokens > 3, data);
  },
  async 'batch'() {
    const { batches } = app.messages;
    const make = () => batches.create({ requests: [{ custom_id: 'a', params: ask('Hello') }, { custom_id: 'b', params: ask('wire:status-400') }] });
    const made = await make();
    same([made.type, made.processing_status], ['message_batch', 'in_progress']);
    const done = await batches.retrieve(made.id);
    same([done.id, done.processing_status], [made.id, 'ended']);
    if (!settings.direct) { // the client asks where results_url says, which here is no vendor's; and lists are the gateway's own
      const told = {};
      for await (const r of await batches.results(made.id)) told[r.custom_id] = r.result;
      same([text(told.a.message), told.b.type, told.b.error.error.type], [echo('Hello'), 'errored', 'invalid_request_error']);
      const other = await make();
      expect((await batches.cancel(other.id)).processing_status !== 'in_progress', 'it was not cancelled');
      const ids = [];
      for await (const b of batches.list({ limit: 1 })) ids.push(b.id);
      expect(ids.indexOf(other.id) < ids.indexOf(made.id) && ids.includes(other.id), ids);
      same((await batches.delete(made.id)).type, 'message_batch_deleted');
    }
    if (!settings.direct) { // a batch has one model on record
      const e = await failure(() => batches.create({ requests: [{ custom_id: 'a', params: ask('Hello') }, { custom_id: 'b', params: ask('Hello', { model: 'claude-haiku-4-5' }) }] }));
      expect(e instanceof Anthropic.BadRequestError && e.error.error.code === 'batch_mixed' && e.message.includes(model) && e.message.includes('claude-haiku-4-5'), e);
    }
    expect((await failure(() => batches.retrieve('msgbatch_nobody'))) instanceof Anthropic.NotFoundError, 'a batch of nobody is there');
    return [made._request_id, done._request_id];
  },
  async 'models'() {
    const names = [];
    for await (const m of app.models.list()) names.push(m.id);
    expect(names.includes(model), names);
    same((await app.models.retrieve(model)).id, model);
  },
};

main({ ...checks, ...(settings.translated ? {} : own) });
