// What is known to work, as a list: `tests/endpoints.test.mjs` sends every one of these requests through
// the built Worker, and `npm run endpoints` makes docs/endpoints.md of it and the READMEs' table.
//
// A row: the provider whose key is used, method, address, what it is, and what to send. An address
// without a slash in front is below `/api/{provider}/`.

const user = [{ role: 'user', content: 'hi' }];
const chat = (model) => ({ json: { model, messages: user } });
const streamed = (model) => ({ json: { model, messages: user, stream: true } });
const contents = { json: { contents: [{ role: 'user', parts: [{ text: 'hi' }] }] } };
const messages = (model) => ({ headers: { 'anthropic-version': '2023-06-01' }, json: { model, max_tokens: 10, messages: user } });
const audio = (model) => ({ form: { model, file: new Blob([new Uint8Array(2000)], { type: 'audio/mpeg' }) } });

export const ENDPOINTS = [
  // OpenAI
  ['openai', 'POST', 'chat/completions', 'chat', chat('gpt-5-mini')],
  ['openai', 'POST', 'v1/chat/completions', 'chat, streamed', streamed('gpt-5-mini')],
  ['openai', 'POST', 'responses', 'responses', { json: { model: 'gpt-5-mini', input: 'hi' } }],
  ['openai', 'POST', 'embeddings', 'embeddings', { json: { model: 'text-embedding-3-small', input: 'hi' } }],
  ['openai', 'POST', 'moderations', 'moderation', { json: { input: 'hi' } }],
  ['openai', 'POST', 'images/generations', 'pictures', { json: { model: 'gpt-image-1', prompt: 'a cat' } }],
  ['openai', 'POST', 'audio/speech', 'speech', { json: { model: 'tts-1', voice: 'alloy', input: 'hi' } }],
  ['openai', 'POST', 'audio/transcriptions', 'transcription', audio('whisper-1')],
  ['openai', 'GET', 'models', 'the provider’s list of models'],
  ['openai', 'GET', 'files', 'files'],
  ['openai', 'POST', '/v1/chat/completions', 'chat at OpenAI’s address', chat('openai/gpt-5-mini')],
  ['openai', 'POST', '/v1/chat/completions', 'the same, by the model’s name alone', chat('gpt-5-mini')],
  ['openai', 'POST', '/v1/responses', 'responses at OpenAI’s address', { json: { model: 'openai/gpt-5-mini', input: 'hi' } }],
  ['openai', 'POST', '/v1/embeddings', 'embeddings at OpenAI’s address', { json: { model: 'text-embedding-3-small', input: 'hi' } }],
  ['openai', 'POST', '/v1/audio/transcriptions', 'transcription at OpenAI’s address', audio('openai/whisper-1')],
  ['openai', 'POST', '/api/compat/chat/completions', 'chat through `compat`', chat('openai/gpt-5-mini')],
  ['openai', 'GET', '/v1/models', 'the models of every provider'],
  // Gemini
  ['google-ai-studio', 'POST', 'v1beta/models/gemini-2.5-flash:generateContent', 'chat', contents],
  ['google-ai-studio', 'POST', 'v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse', 'chat, streamed', contents],
  ['google-ai-studio', 'POST', 'v1beta/models/gemini-2.5-flash:countTokens', 'token counts', contents],
  ['google-ai-studio', 'POST', 'v1beta/openai/chat/completions', 'chat in OpenAI’s shape', chat('gemini-2.5-flash')],
  ['google-ai-studio', 'POST', 'v1beta/openai/embeddings', 'embeddings in OpenAI’s shape', { json: { model: 'gemini-embedding-001', input: 'hi' } }],
  ['google-ai-studio', 'GET', 'v1beta/models', 'the provider’s list of models'],
  ['google-ai-studio', 'POST', '/v1beta/models/gemini-2.5-flash:generateContent', 'chat at Gemini’s address', contents],
  ['google-ai-studio', 'GET', '/v1beta/models', 'models at Gemini’s address'],
  ['google-ai-studio', 'POST', '/v1/chat/completions', 'chat at OpenAI’s address', chat('google-ai-studio/gemini-2.5-flash')],
  ['google-ai-studio', 'POST', '/api/compat/chat/completions', 'chat through `compat`', chat('google-ai-studio/gemini-2.5-flash')],
  // Anthropic
  ['anthropic', 'POST', 'v1/messages', 'chat', messages('claude-haiku-4-5')],
  ['anthropic', 'POST', 'v1/messages/count_tokens', 'token counts', messages('claude-haiku-4-5')],
  ['anthropic', 'GET', 'v1/models', 'the provider’s list of models', { headers: { 'anthropic-version': '2023-06-01' } }],
  ['anthropic', 'POST', '/v1/messages', 'chat at Anthropic’s address', messages('claude-haiku-4-5')],
  ['anthropic', 'POST', '/v1/messages/count_tokens', 'token counts at Anthropic’s address', messages('claude-haiku-4-5')],
  ['anthropic', 'POST', '/anthropic/v1/messages', 'chat at an address of its own', messages('claude-haiku-4-5')],
  ['anthropic', 'POST', '/v1/chat/completions', 'chat at OpenAI’s address', chat('anthropic/claude-haiku-4-5')],
  ['anthropic', 'POST', '/api/compat/chat/completions', 'chat through `compat`', chat('anthropic/claude-haiku-4-5')],
  // Those who speak like OpenAI
  ...[
    ['groq', 'chat/completions', 'llama-3.1-8b-instant'],
    ['openrouter', 'chat/completions', 'qwen/qwen3-coder:free'],
    ['mistral', 'v1/chat/completions', 'mistral-small-latest'],
    ['deepseek', 'chat/completions', 'deepseek-chat'],
    ['cerebras', 'chat/completions', 'llama3.1-8b'],
    ['grok', 'v1/chat/completions', 'grok-4'],
    ['perplexity-ai', 'chat/completions', 'sonar'],
    ['fireworks', 'chat/completions', 'accounts/fireworks/models/llama'],
    ['baseten', 'v1/chat/completions', 'deepseek-ai/DeepSeek-V3'],
    ['workers-ai', 'v1/chat/completions', '@cf/meta/llama-3.1-8b-instruct'],
  ].flatMap(([provider, path, model]) => [
    [provider, 'POST', path, 'chat', chat(model)],
    [provider, 'POST', '/v1/chat/completions', 'chat at OpenAI’s address', chat(`${provider}/${model}`)],
  ]),
  ['groq', 'POST', 'audio/transcriptions', 'transcription', audio('whisper-large-v3')],
  ['grok', 'POST', 'v1/messages', 'chat in Anthropic’s shape', messages('grok-4')],
  ['grok', 'POST', '/v1/messages', 'chat at Anthropic’s address', messages('grok/grok-4')],
  ['deepseek', 'POST', '/v1/messages', 'chat at Anthropic’s address', messages('deepseek/deepseek-chat')],
  ['openrouter', 'POST', '/v1/messages', 'chat at Anthropic’s address', messages('openrouter/anthropic/claude-haiku-4-5')],
  ['azure-openai', 'POST', 'my-resource/my-deployment/chat/completions?api-version=2024-10-21', 'chat', { json: { messages: user } }],
  ['custom-mine', 'POST', 'v1/chat/completions', 'chat', chat('any-model')],
  // The others
  ['google-vertex-ai', 'POST', 'v1/projects/p/locations/us-central1/publishers/google/models/gemini-2.5-flash:generateContent', 'chat', contents],
  ['cohere', 'POST', 'v2/chat', 'chat', { json: { model: 'command-a-03-2025', messages: user } }],
  ['workers-ai', 'POST', '@cf/meta/llama-3.1-8b-instruct', 'a task by its model', { json: { prompt: 'hi' } }],
  ['huggingface', 'POST', 'bigcode/starcoder', 'a model', { json: { inputs: 'hi' } }],
  ['replicate', 'POST', 'models/black-forest-labs/flux-schnell/predictions', 'a prediction', { json: { input: { prompt: 'a cat' } } }],
  ['replicate', 'POST', 'predictions', 'a prediction of a version', { json: { version: 'black-forest-labs/flux-schnell', input: {} } }],
  ['fal', 'POST', 'fal-ai/flux/dev', 'a picture', { json: { prompt: 'a cat' } }],
  ['fal', 'POST', 'queue.fal.run/fal-ai/flux/dev', 'a picture, by way of the queue', { json: { prompt: 'a cat' } }],
  ['ideogram', 'POST', 'v1/ideogram-v3/generate', 'a picture', { json: { prompt: 'a cat' } }],
  ['elevenlabs', 'POST', 'v1/text-to-speech/voice1?output_format=mp3_44100_128', 'speech', { json: { text: 'hi', model_id: 'eleven_multilingual_v2' } }],
  ['elevenlabs', 'POST', 'v1/speech-to-text', 'transcription', { form: { model_id: 'scribe_v1', file: new Blob([new Uint8Array(2000)], { type: 'audio/mpeg' }) } }],
  ['cartesia', 'POST', 'tts/bytes', 'speech', { headers: { 'cartesia-version': '2024-06-10' }, json: { model_id: 'sonic-2', transcript: 'hi' } }],
  ['deepgram', 'POST', 'v1/listen?model=nova-3', 'transcription', { body: new Uint8Array(1000), headers: { 'content-type': 'audio/mpeg' } }],
  ['deepgram', 'POST', 'v1/speak?model=aura-2-thalia-en', 'speech', { json: { text: 'hi' } }],
  ['aws-bedrock', 'POST', 'bedrock-runtime/us-east-1/model/us.amazon.nova-lite-v1%3A0/converse', 'chat', { json: { messages: [{ role: 'user', content: [{ text: 'hi' }] }] } }],
  ['aws-bedrock', 'POST', 'bedrock-runtime/us-east-1/model/us.amazon.nova-lite-v1%3A0/converse-stream', 'chat, streamed', { json: { messages: [{ role: 'user', content: [{ text: 'hi' }] }] } }],
  ['baseten', 'POST', 'model/abc123', 'a model of your own', { json: { prompt: 'hi' } }],
  ['parallel', 'POST', 'chat/completions', 'chat', chat('speed')],
  ['parallel', 'POST', 'v1/tasks/runs', 'a task', { json: { processor: 'lite', input: 'hi' } }],
].map(([provider, method, path, what, sends = {}]) => ({
  provider,
  method,
  address: path.startsWith('/') ? path : `/api/${provider}/${path}`,
  what,
  model: sends.json?.model ?? sends.form?.model,
  sends,
}));

/** The rows of the READMEs' table: a provider, what is below its own address, and the other addresses. */
export function endpointsTable() {
  const cell = (paths) => [...new Set(paths)].map((path) => `\`${path}\``).join(', ');
  return [...new Set(ENDPOINTS.map((one) => one.provider))].map((provider) => {
    const addresses = ENDPOINTS.filter((one) => one.provider === provider).map((one) => one.address.split('?')[0]);
    const own = `/api/${provider}/`;
    return `| \`${provider}\` | ${cell(addresses.filter((it) => it.startsWith(own)).map((it) => it.slice(own.length)))} | ${cell(addresses.filter((it) => !it.startsWith(own)))} |\n`;
  }).join('');
}

/** A README with its table as the list is now. */
export const withEndpoints = (readme) => readme.replace(/(<!-- npm run endpoints -->\n\|.*\n\|[-|]+\n)(?:\|.*\n)*/, (_, head) => head + endpointsTable());

/** docs/endpoints.md. */
export function endpointsPage() {
  const row = ({ provider, method, address, what, model }) =>
    `| \`${provider}\` | ${method} | \`${address.split('?')[0]}\` | ${what} | ${model ? `\`${model}\`` : ''} |`;
  return [
    '# Endpoints by provider',
    '',
    'Every line is a request that a test sends through the built Worker. More works: whatever is below',
    '`/api/{provider}/` goes to the provider as it is. This page is made by `npm run endpoints`.',
    '',
    '| provider | method | address | what | `model` in the test |',
    '|---|---|---|---|---|',
    ...ENDPOINTS.map(row),
    '',
  ].join('\n');
}
