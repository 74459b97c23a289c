// What an app does with the official client: nothing is set but the base URL and
// the key. Prints one line of JSON for each check.
const OpenAI = require('openai').default;

const base = process.env.SDK_BASE + '/v1';
const keys = JSON.parse(process.env.SDK_KEYS);

let calls = 0;
const counted = (url, init) => { calls++; return fetch(url, init); };
const client = (key, options = {}) => new OpenAI({ baseURL: base, apiKey: key, fetch: counted, ...options });
const app = client(keys.good);
const messages = [{ role: 'user', content: 'How long does it take until a claim is paid?' }];

function expect(condition, what) {
  if (!condition) throw new Error(what);
}

async function refused(promise, kind, status, code) {
  try {
    await promise;
  } catch (e) {
    expect(e instanceof OpenAI[kind], `${e.constructor.name} is no ${kind}: ${e.message}`);
    expect(e.status === status && e.code === code, `status ${e.status}, code ${e.code}`);
    expect(e.requestID, 'no request id on the error');
    return e;
  }
  throw new Error('was not refused');
}

async function collect(stream) {
  const out = { text: '', chunks: 0, usage: null, empty: 0, calls: {} };
  for await (const c of stream) {
    out.chunks++;
    if (c.usage) out.usage = c.usage;
    if (c.choices.length === 0) out.empty++;
    for (const choice of c.choices) {
      out.text += choice.delta.content ?? '';
      for (const call of choice.delta.tool_calls ?? []) {
        const t = (out.calls[call.index] ??= { name: '', arguments: '' });
        t.name += call.function?.name ?? '';
        t.arguments += call.function?.arguments ?? '';
      }
      if (choice.finish_reason) out.finish = choice.finish_reason;
    }
  }
  return out;
}

const weather = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false } } }];
const schema = { type: 'json_schema', json_schema: { name: 'claim', strict: true, schema: { type: 'object', properties: { days: { type: 'integer' }, paid: { type: 'boolean' } }, required: ['days', 'paid'], additionalProperties: false } } };

const serving = {
  async chat() {
    const { data, request_id } = await app.chat.completions.create({ model: 'sim-small', messages }).withResponse();
    expect(data.choices[0].message.content.length > 20 && data.usage.total_tokens > 0, JSON.stringify(data));
    expect(data._request_id === request_id, 'request id');
    return request_id;
  },
  async 'chat by a vendor'() {
    const { data, request_id } = await app.chat.completions.create({ model: 'gpt-4o-mini', messages, temperature: 0.2, max_tokens: 50, user: 'u-1' }).withResponse();
    expect(data.model.startsWith('gpt-4o-mini') && data.choices[0].finish_reason === 'stop', JSON.stringify(data));
    return request_id;
  },
  async 'two choices'() {
    const { data, request_id } = await app.chat.completions.create({ model: 'sim-small', messages, n: 2 }).withResponse();
    expect(data.choices.length === 2, JSON.stringify(data));
    return request_id;
  },
  async 'stream'() {
    const { data, request_id } = await app.chat.completions.create({ model: 'sim-small', messages, stream: true }).withResponse();
    const got = await collect(data);
    expect(got.text.length > 20 && got.finish === 'stop' && got.chunks > 5, JSON.stringify(got));
    expect(got.usage === null && got.empty === 0, 'usage that was not asked for: ' + JSON.stringify(got));
    return request_id;
  },
  async 'stream with usage'() {
    const { data, request_id } = await app.chat.completions.create({ model: 'sim-small', messages, stream: true, stream_options: { include_usage: true } }).withResponse();
    const got = await collect(data);
    expect(got.usage.completion_tokens > 0 && got.empty === 1, JSON.stringify(got));
    return request_id;
  },
  async 'stream without usage, said so'() {
    const { data, request_id } = await app.chat.completions.create({ model: 'sim-small', messages, stream: true, stream_options: { include_usage: false } }).withResponse();
    const got = await collect(data);
    expect(got.usage === null && got.empty === 0, JSON.stringify(got));
    return request_id;
  },
  async 'stream helper'() {
    const run = app.chat.completions.stream({ model: 'sim-small', messages });
    const text = await run.finalContent();
    expect(text.length > 20, text);
  },
  async 'redacted stream'() {
    // The simulated provider names an address in some answers; it never arrives.
    for (const word of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) {
      const got = await collect(await app.chat.completions.create({ model: 'sim-small', messages: [{ role: 'user', content: word }], stream: true }));
      expect(!got.text.includes('help@example.com'), got.text);
      if (got.text.includes('[EMAIL]')) return;
    }
    throw new Error('no answer had an address in it');
  },
  async 'tools'() {
    const { data, request_id } = await app.chat.completions.create({ model: 'sim-small', messages, tools: weather }).withResponse();
    const call = data.choices[0].message.tool_calls[0];
    expect(call.function.name === 'weather' && JSON.parse(call.function.arguments).city && data.choices[0].finish_reason === 'tool_calls', JSON.stringify(data));
    const after = await app.chat.completions.create({ model: 'sim-small', tools: weather, messages: [...messages, data.choices[0].message, { role: 'tool', tool_call_id: call.id, content: '12 degrees' }] });
    expect(after.choices[0].message.content.length > 20, JSON.stringify(after));
    return request_id;
  },
  async 'tools in a stream'() {
    const { data, request_id } = await app.chat.completions.create({ model: 'sim-small', messages, tools: weather, stream: true }).withResponse();
    const got = await collect(data);
    expect(got.calls[0].name === 'weather' && JSON.parse(got.calls[0].arguments).city && got.finish === 'tool_calls', JSON.stringify(got));
    return request_id;
  },
  async 'run tools'() {
    let asked = 0;
    const run = app.chat.completions.runTools({ model: 'sim-small', messages, tools: [{ type: 'function', function: { ...weather[0].function, parse: JSON.parse, function: async ({ city }) => { asked++; return `12 degrees in ${city}`; } } }] });
    const text = await run.finalContent();
    expect(asked === 1 && text.length > 20, `${asked} ${text}`);
  },
  async 'structured output'() {
    const data = await app.chat.completions.parse({ model: 'sim-small', messages, response_format: schema });
    const { days, paid } = data.choices[0].message.parsed ?? JSON.parse(data.choices[0].message.content);
    expect(Number.isInteger(days) && paid === true, JSON.stringify(data));
    return data._request_id;
  },
  async 'structured output in a stream'() {
    const got = await collect(await app.chat.completions.create({ model: 'sim-small', messages, response_format: schema, stream: true }));
    expect(JSON.parse(got.text).paid === true, got.text);
  },
  async 'embeddings'() {
    const { data, request_id } = await app.embeddings.create({ model: 'sim-embed', input: ['one', 'two'] }).withResponse();
    expect(data.data.length === 2 && data.data[1].embedding.length === 16 && data.data[0].embedding.every((x) => Math.abs(x) <= 1), JSON.stringify(data));
    const plain = await app.embeddings.create({ model: 'sim-embed', input: ['one', 'two'], encoding_format: 'float' });
    expect(JSON.stringify(plain.data) === JSON.stringify(data.data), 'base64 and numbers differ');
    return request_id;
  },
  async 'models'() {
    const names = [];
    for await (const m of app.models.list()) names.push(m.id);
    expect(names.includes('sim-small') && names.includes('acme/sim'), names.join());
    const one = await app.models.retrieve('sim-small');
    expect(one.id === 'sim-small' && one.object === 'model', JSON.stringify(one));
    const slash = await app.models.retrieve('acme/sim');
    expect(slash.id === 'acme/sim', JSON.stringify(slash));
    const chat = await app.chat.completions.create({ model: 'acme/sim', messages });
    expect(chat.choices[0].message.content, JSON.stringify(chat));
  },
  async 'unknown key'() {
    const e = await refused(client('pk-nobody-knows').chat.completions.create({ model: 'sim-small', messages }), 'AuthenticationError', 401, 'key_unknown');
    expect(!e.message.includes('pk-nobody'), e.message);
  },
  async 'suspended system'() {
    return (await refused(client(keys.suspended).chat.completions.create({ model: 'sim-small', messages }), 'PermissionDeniedError', 403, 'system_suspended')).requestID;
  },
  async 'key of no system'() {
    return (await refused(client(keys.unbound).chat.completions.create({ model: 'sim-small', messages }), 'PermissionDeniedError', 403, 'system_unregistered')).requestID;
  },
  async 'unpriced model'() {
    return (await refused(app.chat.completions.create({ model: 'unpriced', messages }), 'PermissionDeniedError', 403, 'model_unpriced')).requestID;
  },
  async 'budget, asked once'() {
    const before = calls;
    const e = await refused(client(keys.poor).chat.completions.create({ model: 'gpt-4o-mini', messages }), 'RateLimitError', 429, 'budget_exceeded');
    expect(e.headers.get('x-should-retry') === 'false' && e.type === 'insufficient_quota' && calls - before === 1, `${calls - before} calls`);
    return e.requestID;
  },
  async 'rate, asked again after its time'() {
    const before = calls;
    const limited = client(keys.limited, { maxRetries: 1 });
    let asked = 0; // a slow machine earns places back while it asks
    while (asked < 600 && calls - before === asked) {
      await limited.models.list();
      asked++;
    }
    expect(calls - before > asked, 'no call was limited');
  },
  async 'guard'() {
    return (await refused(app.chat.completions.create({ model: 'sim-small', messages: [{ role: 'user', content: 'AKIAIOSFODNN7EXAMPLE' }] }), 'BadRequestError', 400, 'guard_blocked')).requestID;
  },
  async 'guard, before a stream'() {
    return (await refused(app.chat.completions.create({ model: 'sim-small', stream: true, messages: [{ role: 'user', content: 'AKIAIOSFODNN7EXAMPLE' }] }), 'BadRequestError', 400, 'guard_blocked')).requestID;
  },
  async 'no such model'() {
    return (await refused(app.chat.completions.create({ model: 'gpt-none', messages }), 'NotFoundError', 404, 'model_not_found')).requestID;
  },
  async 'too large'() {
    return (await refused(app.chat.completions.create({ model: 'sim-small', messages: [{ role: 'user', content: 'x'.repeat(33 << 20) }] }), 'APIError', 413, 'body_too_large')).requestID;
  },
  async 'other endpoint'() {
    await refused(app.fineTuning.jobs.list(), 'NotFoundError', 404, 'unknown_endpoint');
  },
  async 'provider fails'() {
    return (await refused(client(keys.good, { maxRetries: 0 }).chat.completions.create({ model: 'sim-fail', messages }), 'InternalServerError', 502, 'upstream_error')).requestID;
  },
  async 'provider breaks a stream off'() {
    const { data, request_id } = await app.chat.completions.create({ model: 'sim-cut', messages, stream: true }).withResponse();
    let chunks = 0;
    try {
      for await (const c of data) chunks += c.choices.length;
    } catch (e) {
      expect(chunks > 0 && e instanceof OpenAI.APIError && e.code === 'upstream_cut', `${chunks} ${e.constructor.name} ${e.code}`);
      return request_id;
    }
    throw new Error('a cut stream ended like a whole one');
  },
};

const down = {
  async 'ledger down'() {
    const e = await refused(client(keys.good, { maxRetries: 0 }).chat.completions.create({ model: 'sim-small', messages }), 'InternalServerError', 503, 'ledger_unavailable');
    expect(Number(e.headers.get('retry-after')) >= 1, 'no retry-after');
  },
  async 'suspended while it is down'() {
    await refused(client(keys.suspended).chat.completions.create({ model: 'sim-small', messages }), 'PermissionDeniedError', 403, 'system_suspended');
  },
};

(async () => {
  for (const [name, run] of Object.entries(process.env.SDK_DOWN ? down : serving)) {
    let line = { name, ok: true };
    try {
      line.request = (await run()) ?? '';
    } catch (e) {
      line = { name, ok: false, detail: String(e.stack ?? e).slice(0, 600) };
    }
    console.log(JSON.stringify(line));
  }
})();
