// Vercel's AI SDK with its provider for OpenAI-compatible servers, which does not
// ask for usage in streams.
const { settings, main } = require('./check.cjs');
const { checks, unknownKey, embeds } = require('./check_ai.cjs');
const { createOpenAICompatible } = require('@ai-sdk/openai-compatible');

const at = (apiKey) => createOpenAICompatible({ name: 'plumbline', baseURL: settings.base, apiKey, supportsStructuredOutputs: true });
const app = at(settings.key);
main({
  ...checks('chat', app(settings.model), { usage: false }),
  'unknown key': () => unknownKey(at('pk-nobody-knows')(settings.model)),
  ...(settings.translated ? {} : { embeddings: () => embeds(app.embeddingModel(settings.embedding)) }),
});
