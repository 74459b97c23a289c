// The official OpenAI client for node in its form for Azure: the model is a
// deployment in the path, the key stands in api-key.
const { settings, expect, same, count, failure, fresh, echo, main } = require('./check.cjs');
const { AzureOpenAI, NotFoundError, toFile, AuthenticationError, BadRequestError } = require('openai');

const at = (apiKey) => new AzureOpenAI({ endpoint: settings.base, apiKey, apiVersion: '2024-10-21' });
const app = at(settings.key);
const model = settings.model;
const say = (content) => [{ role: 'user', content }];
const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false };
const tools = [{ type: 'function', function: { name: 'weather', parameters } }];

const checks = {
  async 'chat'() {
    const r = await app.chat.completions.create({ model, messages: say('Hello') });
    same([r.choices[0].message.content, r.choices[0].finish_reason], [echo('Hello'), 'stop']);
    expect(r.usage.total_tokens > 0, r.usage);
  },
  async 'chat streamed'() {
    let text = '';
    for await (const c of await app.chat.completions.create({ model, messages: say('Hello'), stream: true })) text += c.choices[0]?.delta?.content ?? '';
    same(text, echo('Hello'));
  },
  async 'chat streamed with usage'() {
    let usage;
    for await (const c of await app.chat.completions.create({ model, messages: say('Hello'), stream: true, stream_options: { include_usage: true } })) usage = c.usage ?? usage;
    expect(usage.completion_tokens > 0, usage);
  },
  async 'tools'() {
    const messages = say('wire:tool please');
    const first = await app.chat.completions.create({ model, messages, tools });
    const call = first.choices[0].message.tool_calls[0];
    messages.push(first.choices[0].message, { role: 'tool', tool_call_id: call.id, content: '12 degrees' });
    same((await app.chat.completions.create({ model, messages, tools })).choices[0].message.content, 'The tool says: 12 degrees');
  },
  async 'structured'() {
    const r = await app.chat.completions.create({ model, messages: say('A place.'), response_format: { type: 'json_schema', json_schema: { name: 'place', strict: true, schema: parameters } } });
    same(JSON.parse(r.choices[0].message.content), { city: 'Zürich' });
  },
  async 'error 400'() {
    const e = await failure(() => app.chat.completions.create({ model, messages: say('wire:status-400') }));
    expect(e instanceof BadRequestError, String(e));
  },
  async 'unknown key'() {
    const [n, e] = await count(() => failure(() => at('pk-nobody-knows').chat.completions.create({ model, messages: say('Hello') })));
    expect(n === 1 && e instanceof AuthenticationError && !e.message.includes('pk-nobody'), String(e));
  },
  async 'limit that passes'() {
    same((await app.chat.completions.create({ model, messages: say(fresh('once-429')) })).choices[0].finish_reason, 'stop');
  },
  async 'server error that passes'() {
    same((await app.chat.completions.create({ model, messages: say(fresh('once-503')) })).choices[0].finish_reason, 'stop');
  },
};

const own = {
  async 'embeddings'() {
    const r = await app.embeddings.create({ model: settings.embedding, input: ['one', 'two'] });
    same(r.data.map((e) => e.embedding.length), [8, 8]);
  },
  async 'batch'() {
    const line = (custom_id, content) => JSON.stringify({ custom_id, method: 'POST', url: '/chat/completions', body: { model, messages: say(content), max_completion_tokens: 50 } });
    const file = await app.files.create({ file: await toFile(Buffer.from(`${line('a', 'Hello')}\n${line('b', 'wire:status-400')}\n`), 'lines.jsonl'), purpose: 'batch' });
    same((await app.files.retrieve(file.id)).status, 'processed');
    const make = () => app.batches.create({ input_file_id: file.id, endpoint: '/chat/completions', completion_window: '24h' });
    const made = await make();
    same([made.object, made.status, made.input_file_id], ['batch', 'validating', file.id]);
    const done = await app.batches.retrieve(made.id);
    same([done.id, done.status], [made.id, 'completed']);
    const results = async (id) => (await (await app.files.content(id)).text()).trim().split('\n').map((l) => JSON.parse(l));
    same((await results(done.output_file_id)).map((r) => [r.custom_id, r.response.body.choices[0].message.content]), [['a', echo('Hello')]]);
    same((await results(done.error_file_id)).map((r) => [r.custom_id, r.response.status_code]), [['b', 400]]);
    same((await app.batches.cancel((await make()).id)).status, 'cancelled');
    expect((await failure(() => app.batches.retrieve('batch_nobody'))) instanceof NotFoundError, 'a batch of nobody is there');
    return [file._request_id, made._request_id, done._request_id];
  },
};

main({ ...checks, ...(settings.translated ? {} : own) });
