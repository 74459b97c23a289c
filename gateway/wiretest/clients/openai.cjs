// The official OpenAI client for node: chat completions, Responses, embeddings,
// models, moderations, images, transcripts, speech, files, batches.
const { settings, expect, same, count, failure, fresh, pixel, seen, echo, main } = require('./check.cjs');
const OpenAI = require('openai').default;
const { toFile } = require('openai');

const app = new OpenAI({ baseURL: settings.base, apiKey: settings.key });
const model = settings.model;
const say = (content) => [{ role: 'user', content }];
const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false };
const weather = [{ type: 'function', function: { name: 'weather', description: 'The weather of a city.', parameters, strict: true } }];
const flat = [{ type: 'function', name: 'weather', description: 'The weather of a city.', parameters, strict: true }];
const claim = { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' }, paid: { type: 'boolean' } }, required: ['city', 'days', 'paid'], additionalProperties: false };
const filled = { city: 'Zürich', days: 14, paid: true };

async function collect(stream) {
  const out = { text: '', thought: '', usage: null, finish: null, calls: [] };
  for await (const c of stream) {
    if (c.usage) out.usage = c.usage;
    for (const { delta, finish_reason } of c.choices) {
      out.text += delta.content ?? '';
      out.thought += delta.reasoning_content ?? '';
      for (const t of delta.tool_calls ?? []) {
        const call = (out.calls[t.index] ??= { id: t.id, name: t.function.name, arguments: '' });
        call.arguments += t.function.arguments;
      }
      out.finish = finish_reason ?? out.finish;
    }
  }
  return out;
}

const chat = {
  async 'chat'() {
    const { data, request_id } = await app.chat.completions.create({ model, messages: say('Hello') }).withResponse();
    same([data.choices[0].message.content, data.choices[0].finish_reason], [echo('Hello'), 'stop']);
    expect(data.usage.prompt_tokens > 0 && data.usage.total_tokens === data.usage.prompt_tokens + data.usage.completion_tokens, data.usage);
    return request_id;
  },
  async 'chat streamed'() {
    const { data, request_id } = await app.chat.completions.create({ model, messages: say('Hello'), stream: true }).withResponse();
    const got = await collect(data);
    same([got.text, got.finish, got.usage], [echo('Hello'), 'stop', null]);
    return request_id;
  },
  async 'chat streamed with usage'() {
    const { data, request_id } = await app.chat.completions.create({ model, messages: say('Hello'), stream: true, stream_options: { include_usage: true } }).withResponse();
    const got = await collect(data);
    expect(got.text === echo('Hello') && got.usage.completion_tokens > 0, got);
    return request_id;
  },
  async 'chat tools'() {
    const messages = say('wire:tool please');
    const first = await app.chat.completions.create({ model, messages, tools: weather });
    const call = first.choices[0].message.tool_calls[0];
    same([call.function.name, JSON.parse(call.function.arguments), first.choices[0].finish_reason], ['weather', { city: 'Zürich' }, 'tool_calls']);
    messages.push(first.choices[0].message, { role: 'tool', tool_call_id: call.id, content: '12 degrees' });
    const second = await app.chat.completions.create({ model, messages, tools: weather });
    same(second.choices[0].message.content, 'The tool says: 12 degrees');
    return [first._request_id, second._request_id];
  },
  async 'chat tools streamed'() {
    const { data, request_id } = await app.chat.completions.create({ model, messages: say('wire:tool please'), tools: weather, stream: true }).withResponse();
    const got = await collect(data);
    same([got.calls.length, got.calls[0].name, JSON.parse(got.calls[0].arguments), got.finish], [1, 'weather', { city: 'Zürich' }, 'tool_calls']);
    return request_id;
  },
  async 'chat parallel tools streamed'() {
    const messages = say('wire:parallel please');
    const got = await collect(await app.chat.completions.create({ model, messages, tools: weather, stream: true }));
    same(got.calls.map((c) => JSON.parse(c.arguments).city), ['Zürich1', 'Zürich2']);
    messages.push({ role: 'assistant', content: null, tool_calls: got.calls.map((c) => ({ id: c.id, type: 'function', function: { name: c.name, arguments: c.arguments } })) });
    for (const c of got.calls) messages.push({ role: 'tool', tool_call_id: c.id, content: `12 in ${JSON.parse(c.arguments).city}` });
    const second = await app.chat.completions.create({ model, messages, tools: weather });
    same(second.choices[0].message.content, 'The tool says: 12 in Zürich1 | 12 in Zürich2');
  },
  async 'chat forced tool'() {
    const data = await app.chat.completions.create({ model, messages: say('Hello'), tools: weather, tool_choice: { type: 'function', function: { name: 'weather' } } });
    same(data.choices[0].message.tool_calls[0].function.name, 'weather');
  },
  async 'chat runs tools'() {
    let asked = 0;
    const run = app.chat.completions.runTools({ model, messages: say('wire:tool please'), tools: [{ type: 'function', function: { name: 'weather', parameters, parse: JSON.parse, function: async ({ city }) => { asked++; return `12 in ${city}`; } } }] });
    same([await run.finalContent(), asked], ['The tool says: 12 in Zürich', 1]);
  },
  async 'chat structured'() {
    const data = await app.chat.completions.parse({ model, messages: say('A claim.'), response_format: { type: 'json_schema', json_schema: { name: 'claim', strict: true, schema: claim } } });
    same(JSON.parse(data.choices[0].message.content), filled);
    return data._request_id;
  },
  async 'chat structured streamed'() {
    const got = await collect(await app.chat.completions.create({ model, messages: say('A claim.'), stream: true, response_format: { type: 'json_schema', json_schema: { name: 'claim', strict: true, schema: claim } } }));
    same(JSON.parse(got.text), filled);
  },
  async 'chat image'() {
    const data = await app.chat.completions.create({ model, messages: say([{ type: 'text', text: 'What is this?' }, { type: 'image_url', image_url: { url: `data:image/png;base64,${pixel}`, detail: 'low' } }]) });
    same(data.choices[0].message.content, seen);
    return data._request_id;
  },
  async 'chat length'() {
    const data = await app.chat.completions.create({ model, messages: say('wire:length'), max_completion_tokens: 6 });
    same(data.choices[0].finish_reason, 'length');
  },
  async 'chat cached tokens'() {
    const data = await app.chat.completions.create({ model, messages: say('wire:cached '.repeat(20)) });
    expect(data.usage.prompt_tokens_details.cached_tokens > 0, data.usage);
  },
  async 'chat broken stream'() {
    const e = await failure(async () => collect(await app.chat.completions.create({ model, messages: say('wire:broken and long enough'), stream: true })));
    expect(e instanceof OpenAI.APIError, String(e));
  },
};

// What OpenAI's own upstream alone has.
const own = {
  async 'chat refusal'() {
    const data = await app.chat.completions.create({ model, messages: say('wire:refusal') });
    same(data.choices[0].message.refusal, 'I cannot help with that.');
  },
  async 'chat two choices'() {
    const data = await app.chat.completions.create({ model, messages: say('Hello'), n: 2 });
    same(data.choices.map((c) => c.index), [0, 1]);
  },
  async 'chat reasoning text'() {
    const got = await collect(await app.chat.completions.create({ model, messages: say('wire:reasoning'), stream: true, stream_options: { include_usage: true } }));
    expect(got.thought.startsWith('The user wants') && got.usage.completion_tokens_details.reasoning_tokens > 0, got);
  },
  async 'responses go on from one kept'() {
    const first = await app.responses.create({ model, input: 'wire:tool please', tools: flat });
    const call = first.output.find((o) => o.type === 'function_call');
    const second = await app.responses.create({ model, previous_response_id: first.id, tools: flat, input: [{ type: 'function_call_output', call_id: call.call_id, output: '12 degrees' }] });
    same(second.output_text, 'The tool says: 12 degrees');
  },
  async 'responses kept'() {
    const first = await app.responses.create({ model, input: 'Hello' });
    const again = await app.responses.retrieve(first.id);
    same(again.id, first.id);
    const items = [];
    for await (const item of app.responses.inputItems.list(first.id)) items.push(item.type);
    same(items, ['message']);
    await app.responses.delete(first.id);
    expect((await failure(() => app.responses.retrieve(first.id))) instanceof OpenAI.NotFoundError, 'a deleted response is there');
  },
  async 'responses encrypted reasoning'() {
    const input = [{ role: 'user', content: 'wire:reasoning wire:tool please' }];
    const first = await app.responses.create({ model, input, tools: flat, store: false, include: ['reasoning.encrypted_content'] });
    expect(first.output[0].type === 'reasoning' && first.output[0].encrypted_content.startsWith('gAAAA+/'), first.output);
    const call = first.output.find((o) => o.type === 'function_call');
    input.push(...first.output, { type: 'function_call_output', call_id: call.call_id, output: '12 degrees' });
    const second = await app.responses.create({ model, input, tools: flat, store: false, include: ['reasoning.encrypted_content'] });
    same(second.output_text, 'The tool says: 12 degrees');
  },
  async 'embeddings'() {
    const input = ['one', 'two'];
    const { data, request_id } = await app.embeddings.create({ model: settings.embedding, input }).withResponse();
    const plain = await app.embeddings.create({ model: settings.embedding, input, encoding_format: 'float' });
    same([data.data.length, data.data[1].embedding.length], [2, 8]);
    for (const [i, e] of data.data.entries()) expect(e.embedding.every((x, j) => Math.abs(x - plain.data[i].embedding[j]) < 1e-6), 'base64 and numbers differ');
    expect(data.usage.prompt_tokens > 0, data.usage);
    return request_id;
  },
  async 'models'() {
    const names = [];
    for await (const m of app.models.list()) names.push(m.id);
    expect(names.includes(model) && names.includes('acme/claims-large'), names);
    same((await app.models.retrieve('acme/claims-large')).id, 'acme/claims-large');
  },
  async 'images'() {
    const r = await app.images.generate({ model: settings.image, prompt: 'a cat', n: 2 });
    same([r.data.map((d) => d.b64_json), r.usage.output_tokens], [[pixel, pixel], 544]);
    return r._request_id;
  },
  async 'image edited'() {
    const image = [await toFile(Buffer.from(pixel, 'base64'), 'a.png', { type: 'image/png' }), await toFile(Buffer.from(pixel, 'base64'), 'b.png', { type: 'image/png' })];
    const r = await app.images.edit({ model: settings.image, image, mask: image[0], prompt: 'a hat' });
    same([r.data[0].b64_json, r.usage.input_tokens_details.image_tokens], [pixel, 3 * 85]);
    return r._request_id;
  },
  async 'image varied'() {
    const r = await app.images.createVariation({ model: settings.image, image: await toFile(Buffer.from(pixel, 'base64'), 'a.png', { type: 'image/png' }) });
    same(r.data[0].b64_json, pixel);
    return r._request_id;
  },
  async 'images streamed'() {
    const { data, request_id } = await app.images.generate({ model: settings.image, prompt: 'a cat', stream: true, partial_images: 2 }).withResponse();
    const types = [];
    let usage;
    for await (const e of data) {
      types.push(e.type);
      same(e.b64_json, pixel);
      usage = e.usage ?? usage;
    }
    same(types, ['image_generation.partial_image', 'image_generation.partial_image', 'image_generation.completed']);
    expect(usage.output_tokens > 0, usage);
    return request_id;
  },
  async 'image edited streamed'() {
    const image = await toFile(Buffer.from(pixel, 'base64'), 'a.png', { type: 'image/png' });
    const types = [];
    for await (const e of await app.images.edit({ model: settings.image, image, prompt: 'a hat', stream: true, partial_images: 1 })) types.push(e.type);
    same(types, ['image_edit.partial_image', 'image_edit.completed']);
  },
  async 'transcript streamed'() {
    const file = await toFile(Buffer.alloc(5000), 'a.mp3', { type: 'audio/mpeg' });
    const whole = await app.audio.transcriptions.create({ model: settings.ears, file });
    let text = '', last;
    for await (const e of await app.audio.transcriptions.create({ model: settings.ears, file, stream: true })) {
      if (e.type === 'transcript.text.delta') text += e.delta;
      last = e;
    }
    same([text, last.type, last.text, last.usage.input_tokens], [whole.text, 'transcript.text.done', 'I hear 5000 bytes.', 14]);
    return whole._request_id;
  },
  async 'speech as events'() {
    const r = await app.audio.speech.create({ model: settings.voice, voice: 'alloy', input: 'Good morning', stream_format: 'sse' });
    const events = (await r.text()).trim().split('\n\n').map((f) => JSON.parse(f.slice('data: '.length)));
    const sound = Buffer.concat(events.filter((e) => e.type === 'speech.audio.delta').map((e) => Buffer.from(e.audio, 'base64')));
    same(sound.map((b) => ~b & 255).toString(), 'Good morning');
    same(events.at(-1).type, 'speech.audio.done');
  },
  async 'files'() {
    const made = await app.files.create({ file: await toFile(Buffer.from('Notes, naïve 東京.'), 'notes.txt'), purpose: 'user_data' });
    same([made.object, made.filename, made.bytes], ['file', 'notes.txt', 21]);
    same((await app.files.retrieve(made.id)).id, made.id);
    same(await (await app.files.content(made.id)).text(), 'Notes, naïve 東京.');
    if (!settings.direct) { // lists are the gateway's own
      const ids = [];
      for await (const f of app.files.list({ purpose: 'user_data' })) ids.push(f.id);
      expect(ids.includes(made.id), ids);
    }
    same((await app.files.delete(made.id)).deleted, true);
    expect((await failure(() => app.files.retrieve(made.id))) instanceof OpenAI.NotFoundError, 'a deleted file is there');
    return made._request_id;
  },
  async 'batch'() {
    const line = (custom_id, content) => JSON.stringify({ custom_id, method: 'POST', url: '/v1/chat/completions', body: { model, messages: say(content), max_completion_tokens: 50 } });
    const file = await app.files.create({ file: await toFile(Buffer.from(`${line('a', 'Hello')}\n${line('b', 'wire:status-400')}\n`), 'lines.jsonl'), purpose: 'batch' });
    const make = () => app.batches.create({ input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' });
    const made = await make();
    same([made.object, made.status, made.input_file_id], ['batch', 'validating', file.id]);
    const done = await app.batches.retrieve(made.id);
    same([done.id, done.status], [made.id, 'completed']);
    const results = async (id) => (await (await app.files.content(id)).text()).trim().split('\n').map((l) => JSON.parse(l));
    same((await results(done.output_file_id)).map((r) => [r.custom_id, r.response.body.choices[0].message.content]), [['a', echo('Hello')]]);
    same((await results(done.error_file_id)).map((r) => [r.custom_id, r.response.status_code]), [['b', 400]]);
    const other = await make();
    same((await app.batches.cancel(other.id)).status, 'cancelled');
    if (!settings.direct) {
      const ids = [];
      for await (const b of app.batches.list({ limit: 1 })) ids.push(b.id);
      expect(ids.indexOf(other.id) < ids.indexOf(made.id) && ids.includes(other.id), ids);
    }
    expect((await failure(() => app.batches.retrieve('batch_nobody'))) instanceof OpenAI.NotFoundError, 'a batch of nobody is there');
    return [file._request_id, made._request_id, done._request_id];
  },
  async 'moderations'() {
    const data = await app.moderations.create({ model: settings.moderation, input: ['a plan of violence', 'tea'] });
    same(data.results.map((r) => r.flagged), [true, false]);
  },
};

const responses = {
  async 'responses'() {
    const data = await app.responses.create({ model, input: 'Hello', instructions: 'Be brief.' });
    same([data.output_text, data.status], [echo('Hello'), 'completed']);
    expect(data.usage.input_tokens > 0 && data.usage.output_tokens > 0, data.usage);
    return data._request_id;
  },
  async 'responses streamed'() {
    const { data, request_id } = await app.responses.create({ model, input: 'Hello', stream: true }).withResponse();
    let text = '', number = -1, last;
    for await (const e of data) {
      expect(e.sequence_number > number, `sequence ${e.sequence_number} after ${number}`);
      number = e.sequence_number;
      if (e.type === 'response.output_text.delta') text += e.delta;
      last = e;
    }
    same([text, last.type, last.response.output[0].content[0].text], [echo('Hello'), 'response.completed', text]);
    expect(last.response.usage.total_tokens > 0, last.response.usage);
    return request_id;
  },
  async 'responses tools'() {
    const input = [{ role: 'user', content: 'wire:parallel please' }];
    const first = await app.responses.create({ model, input, tools: flat });
    const calls = first.output.filter((o) => o.type === 'function_call');
    same(calls.map((c) => JSON.parse(c.arguments).city), ['Zürich1', 'Zürich2']);
    input.push(...first.output, ...calls.map((c) => ({ type: 'function_call_output', call_id: c.call_id, output: `12 in ${JSON.parse(c.arguments).city}` })));
    const second = await app.responses.create({ model, input, tools: flat });
    same(second.output_text, 'The tool says: 12 in Zürich1 | 12 in Zürich2');
    return [first._request_id, second._request_id];
  },
  async 'responses tools streamed'() {
    const run = app.responses.stream({ model, input: 'wire:tool please', tools: flat });
    let text = '';
    for await (const e of run) if (e.type === 'response.function_call_arguments.delta') text += e.delta;
    const final = await run.finalResponse();
    same([JSON.parse(text), final.output.find((o) => o.type === 'function_call').name], [{ city: 'Zürich' }, 'weather']);
  },
  async 'responses structured'() {
    const data = await app.responses.parse({ model, input: 'A claim.', text: { format: { type: 'json_schema', name: 'claim', strict: true, schema: claim } } });
    same(data.output_parsed ?? JSON.parse(data.output_text), filled);
  },
  async 'responses image'() {
    const data = await app.responses.create({ model, input: [{ role: 'user', content: [{ type: 'input_text', text: 'What is this?' }, { type: 'input_image', image_url: `data:image/png;base64,${pixel}`, detail: 'auto' }] }] });
    same(data.output_text, seen);
  },
  async 'responses cut by length'() {
    const data = await app.responses.create({ model, input: 'wire:length please', max_output_tokens: 16 });
    same([data.status, data.incomplete_details.reason], ['incomplete', 'max_output_tokens']);
  },
  async 'responses broken stream'() {
    const e = await failure(async () => {
      for await (const e of await app.responses.create({ model, input: 'wire:broken and long enough', stream: true })) {
        if (e.type === 'error' || e.type === 'response.failed') throw new Error('error event');
        expect(e.type !== 'response.completed', 'a broken stream was completed');
      }
    });
    expect(e.message === 'error event' || e instanceof OpenAI.APIError, String(e));
  },
};

const failing = {
  async 'error 400'() {
    const e = await failure(() => app.chat.completions.create({ model, messages: say('wire:status-400') }));
    expect(e instanceof OpenAI.BadRequestError && e.requestID, String(e));
    return e.requestID;
  },
  async 'unknown key'() {
    const [n, e] = await count(() => failure(() => new OpenAI({ baseURL: settings.base, apiKey: 'pk-nobody-knows' }).chat.completions.create({ model, messages: say('Hello') })));
    expect(n === 1 && e instanceof OpenAI.AuthenticationError && e.code && !e.message.includes('pk-nobody'), String(e));
  },
  async 'limit that stays'() {
    const [n, e] = await count(() => failure(() => app.chat.completions.create({ model, messages: say('wire:status-429') }, { maxRetries: 1 })));
    expect(n === 2 && e instanceof OpenAI.RateLimitError, `${n} ${e}`);
    return e.requestID;
  },
  async 'limit that passes'() {
    same((await app.chat.completions.create({ model, messages: say(fresh('once-429')) })).choices[0].finish_reason, 'stop');
  },
  async 'server error that passes'() {
    same((await app.chat.completions.create({ model, messages: say(fresh('once-500')) })).choices[0].finish_reason, 'stop');
  },
  async 'server error that stays'() {
    const e = await failure(() => app.chat.completions.create({ model, messages: say('wire:status-500') }, { maxRetries: 0 }));
    expect(e instanceof OpenAI.InternalServerError && e.requestID, String(e));
    return e.requestID;
  },
  async 'not to be asked again'() {
    const poor = new OpenAI({ baseURL: settings.base, apiKey: settings.poor ?? settings.key });
    const [n, e] = await count(() => failure(() => poor.chat.completions.create({ model, messages: say(settings.direct ? fresh('final-429') : 'Hello') })));
    expect(n === 1 && e instanceof OpenAI.RateLimitError, `${n} ${e}`);
    return e.requestID;
  },
};

main({ ...chat, ...responses, ...(settings.translated ? {} : own), ...failing });
