// Google's official client for node.
const { settings, expect, same, failure, fresh, pixel, seen, echo, main } = require('./check.cjs');
const { GoogleGenAI, ApiError, FunctionCallingConfigMode } = require('@google/genai');

const client = (apiKey, more = {}) => new GoogleGenAI({ apiKey, vertexai: false, httpOptions: { baseUrl: settings.base, ...more } });
const app = client(settings.key);
const model = settings.model;
const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const tools = [{ functionDeclarations: [{ name: 'weather', description: 'The weather of a city.', parametersJsonSchema: parameters }] }];
const claim = { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' }, paid: { type: 'boolean' } }, required: ['city', 'days', 'paid'] };
const filled = { city: 'Zürich', days: 14, paid: true };

async function collect(stream) {
  const out = { text: '', calls: [], parts: [], usage: null, finish: null };
  for await (const c of stream) {
    for (const p of c.candidates?.[0]?.content?.parts ?? []) {
      out.parts.push(p);
      if (p.text && !p.thought) out.text += p.text;
      if (p.functionCall) out.calls.push(p.functionCall);
    }
    out.finish = c.candidates?.[0]?.finishReason ?? out.finish;
    out.usage = c.usageMetadata ?? out.usage;
  }
  return out;
}

const checks = {
  async 'generate'() {
    const r = await app.models.generateContent({ model, contents: 'Hello', config: { systemInstruction: 'Be brief.', temperature: 0.5, maxOutputTokens: 200 } });
    same([r.text, r.candidates[0].finishReason], [echo('Hello'), 'STOP']);
    expect(r.usageMetadata.promptTokenCount > 0 && r.usageMetadata.totalTokenCount > r.usageMetadata.promptTokenCount, r.usageMetadata);
  },
  async 'streamed'() {
    const got = await collect(await app.models.generateContentStream({ model, contents: 'Hello' }));
    same([got.text, got.finish], [echo('Hello'), 'STOP']);
    expect(got.parts.length > 3 && got.usage.candidatesTokenCount > 0, got.usage);
  },
  async 'tools'() {
    const contents = [{ role: 'user', parts: [{ text: 'wire:parallel please' }] }];
    const first = await app.models.generateContent({ model, contents, config: { tools } });
    same(first.functionCalls.map((f) => [f.name, f.args.city]), [['weather', 'Zürich1'], ['weather', 'Zürich2']]);
    contents.push(first.candidates[0].content, { role: 'user', parts: first.functionCalls.map((f) => ({ functionResponse: { id: f.id, name: f.name, response: { output: `12 in ${f.args.city}` } } })) });
    const second = await app.models.generateContent({ model, contents, config: { tools } });
    expect(/^The tool says: .*12 in Zürich1.* \| .*12 in Zürich2/.test(second.text), second.text);
  },
  async 'tools streamed'() {
    const contents = [{ role: 'user', parts: [{ text: 'wire:tool please' }] }];
    const first = await collect(await app.models.generateContentStream({ model, contents, config: { tools } }));
    same(first.calls.map((f) => f.args), [{ city: 'Zürich' }]);
    contents.push({ role: 'model', parts: first.parts.filter((p) => p.functionCall) }, { role: 'user', parts: [{ functionResponse: { id: first.calls[0].id, name: 'weather', response: { output: '12 degrees' } } }] });
    const second = await collect(await app.models.generateContentStream({ model, contents, config: { tools } }));
    expect(second.text.startsWith('The tool says: ') && second.text.includes('12 degrees'), second.text);
  },
  async 'forced tool'() {
    const r = await app.models.generateContent({ model, contents: 'Hello', config: { tools, toolConfig: { functionCallingConfig: { mode: FunctionCallingConfigMode.ANY, allowedFunctionNames: ['weather'] } } } });
    same(r.functionCalls[0].name, 'weather');
  },
  async 'structured'() {
    const r = await app.models.generateContent({ model, contents: 'A claim.', config: { responseMimeType: 'application/json', responseJsonSchema: claim } });
    same(JSON.parse(r.text), filled);
  },
  async 'structured streamed'() {
    const got = await collect(await app.models.generateContentStream({ model, contents: 'A claim.', config: { responseMimeType: 'application/json', responseJsonSchema: claim } }));
    same(JSON.parse(got.text), filled);
  },
  async 'image'() {
    const r = await app.models.generateContent({ model, contents: [{ role: 'user', parts: [{ text: 'What is this?' }, { inlineData: { mimeType: 'image/png', data: pixel } }] }] });
    same(r.text, seen);
  },
  async 'chat'() {
    const chat = app.chats.create({ model });
    same((await chat.sendMessage({ message: 'Hello' })).text, echo('Hello'));
    same((await chat.sendMessage({ message: 'Again' })).text, echo('Again'));
  },
  async 'length'() {
    const r = await app.models.generateContent({ model, contents: 'wire:length please', config: { maxOutputTokens: 6 } });
    same(r.candidates[0].finishReason, 'MAX_TOKENS');
  },
  async 'broken stream'() {
    const e = await failure(async () => {
      const got = await collect(await app.models.generateContentStream({ model, contents: 'wire:broken and long enough' }));
      expect(got.finish === 'STOP', 'broken off');
    });
    expect(e instanceof ApiError || e.message === 'broken off', String(e));
  },
  async 'error 400'() {
    const e = await failure(() => app.models.generateContent({ model, contents: 'wire:status-400' }));
    expect(e instanceof ApiError && e.status === 400 && JSON.parse(e.message).error.status === 'INVALID_ARGUMENT', String(e));
  },
  async 'unknown key'() {
    const e = await failure(() => client('pk-nobody-knows').models.generateContent({ model, contents: 'Hello' }));
    expect(e instanceof ApiError && e.status === 401 && JSON.parse(e.message).error.status === 'UNAUTHENTICATED' && !e.message.includes('pk-nobody'), String(e));
  },
  async 'limit that stays'() {
    const e = await failure(() => app.models.generateContent({ model, contents: 'wire:status-429' }));
    expect(e instanceof ApiError && e.status === 429 && JSON.parse(e.message).error.status === 'RESOURCE_EXHAUSTED', String(e));
  },
  async 'limit that passes'() {
    const again = client(settings.key, { retryOptions: { attempts: 3 } });
    same((await again.models.generateContent({ model, contents: fresh('once-429') })).candidates[0].finishReason, 'STOP');
  },
  async 'server error that passes'() {
    const again = client(settings.key, { retryOptions: { attempts: 3 } });
    same((await again.models.generateContent({ model, contents: fresh('once-500') })).candidates[0].finishReason, 'STOP');
  },
};

const own = {
  async 'thoughts go back signed'() {
    const config = { tools, thinkingConfig: { includeThoughts: true } };
    const contents = [{ role: 'user', parts: [{ text: 'wire:tool please' }] }];
    const first = await app.models.generateContent({ model, contents, config });
    const parts = first.candidates[0].content.parts;
    expect(parts[0].thought && parts[1].thoughtSignature.startsWith('gAAAA+/') && first.usageMetadata.thoughtsTokenCount > 0, parts);
    contents.push(first.candidates[0].content, { role: 'user', parts: [{ functionResponse: { name: 'weather', response: { output: '12 degrees' } } }] });
    const second = await app.models.generateContent({ model, contents, config });
    expect(second.text.includes('12 degrees'), second.text);
    parts[1].thoughtSignature = 'AAAA';
    expect((await failure(() => app.models.generateContent({ model, contents, config }))).status === 400, 'a changed signature was taken');
  },
  async 'count tokens'() {
    const r = await app.models.countTokens({ model, contents: 'How many tokens are these?' });
    expect(r.totalTokens > 3, r);
  },
  async 'embed'() {
    const r = await app.models.embedContent({ model: settings.embedding, contents: ['one', 'two'], config: { outputDimensionality: 8 } });
    same(r.embeddings.map((e) => e.values.length), [8, 8]);
  },
  async 'models'() {
    const names = [];
    for await (const m of await app.models.list()) names.push(m.name);
    expect(names.includes('models/' + model), names);
    same((await app.models.get({ model })).name, 'models/' + model);
  },
};

main({ ...checks, ...(settings.translated ? {} : own) });
