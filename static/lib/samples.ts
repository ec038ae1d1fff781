// Settings for clients, ready to be copied: this Worker's address, a provider and a model filled in.

export type App = 'curl' | 'openai' | 'gemini' | 'anthropic' | 'cherry' | 'claude' | 'geminicli' | 'openwebui';
export const APPS: App[] = ['curl', 'openai', 'gemini', 'anthropic', 'cherry', 'claude', 'geminicli', 'openwebui'];

/** A model of the provider to begin with. */
export const MODELS: Record<string, string> = {
  'google-ai-studio': 'gemini-2.5-flash', openai: 'gpt-5-mini', anthropic: 'claude-sonnet-4-5', openrouter: 'openai/gpt-oss-20b:free', groq: 'llama-3.3-70b-versatile',
  grok: 'grok-4', mistral: 'mistral-small-latest', deepseek: 'deepseek-chat', cerebras: 'gpt-oss-120b', cohere: 'command-a-03-2025', 'perplexity-ai': 'sonar',
  huggingface: 'openai/gpt-oss-20b', 'workers-ai': '@cf/meta/llama-3.1-8b-instruct', fireworks: 'accounts/fireworks/models/gpt-oss-20b', baseten: 'openai/gpt-oss-120b',
};

/** Whether the app can speak to the provider in its own format. */
export function fits(app: App, provider: string): boolean {
  if (app === 'gemini' || app === 'geminicli') return provider === 'google-ai-studio';
  if (app === 'anthropic' || app === 'claude') return provider === 'anthropic';
  return true;
}

/** Where, and under which name of the model, the provider is spoken to in OpenAI's format. */
export function openaiFormat(origin: string, provider: string, model: string) {
  return provider === 'openai'
    ? { base: `${origin}/api/openai/v1`, model }
    : { base: `${origin}/api/compat`, model: `${provider}/${model}` };
}

export interface Sample { title: 'shell' | 'js' | 'python'; text: string }
export interface Settings { fields: { name: 'provider' | 'key' | 'host' | 'model' | 'address'; value: string }[] }

/** A text as a literal of JavaScript, Python and JSON alike. */
const quoted = (text: string) => JSON.stringify(text);
/** A text as one word of a shell. */
const word = (text: string) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

export function samples(app: App, origin: string, provider: string, model: string, token: string): Sample[] {
  const it = openaiFormat(origin, provider, model);
  const say = '"Hello"';
  switch (app) {
    case 'curl':
      if (provider === 'google-ai-studio') {
        return [{ title: 'shell', text: `curl -N ${word(`${origin}/api/google-ai-studio/v1beta/models/${model}:streamGenerateContent?alt=sse`)} \\\n  -H 'x-goog-api-key: ${token}' -H 'content-type: application/json' \\\n  -d '{"contents":[{"parts":[{"text":${say}}]}]}'` }];
      }
      if (provider === 'anthropic') {
        return [{ title: 'shell', text: `curl -N ${word(`${origin}/api/anthropic/v1/messages`)} \\\n  -H 'x-api-key: ${token}' -H 'anthropic-version: 2023-06-01' -H 'content-type: application/json' \\\n  -d ${word(`{"model":${quoted(model)},"max_tokens":256,"stream":true,"messages":[{"role":"user","content":${say}}]}`)}` }];
      }
      return [{ title: 'shell', text: `curl -N ${word(`${it.base}/chat/completions`)} \\\n  -H 'authorization: Bearer ${token}' -H 'content-type: application/json' \\\n  -d ${word(`{"model":${quoted(it.model)},"stream":true,"messages":[{"role":"user","content":${say}}]}`)}` }];
    case 'openai':
      return [
        { title: 'js', text: `import OpenAI from 'openai';\n\nconst client = new OpenAI({\n  apiKey: ${quoted(token)},\n  baseURL: ${quoted(it.base)},\n});\nconst answer = await client.chat.completions.create({\n  model: ${quoted(it.model)},\n  messages: [{ role: 'user', content: 'Hello' }],\n});\nconsole.log(answer.choices[0].message.content);` },
        { title: 'python', text: `from openai import OpenAI\n\nclient = OpenAI(\n    api_key=${quoted(token)},\n    base_url=${quoted(it.base)},\n)\nanswer = client.chat.completions.create(\n    model=${quoted(it.model)},\n    messages=[{"role": "user", "content": "Hello"}],\n)\nprint(answer.choices[0].message.content)` },
      ];
    case 'gemini':
      return [
        { title: 'js', text: `import { GoogleGenAI } from '@google/genai';\n\nconst client = new GoogleGenAI({\n  apiKey: ${quoted(token)},\n  httpOptions: { baseUrl: ${quoted(`${origin}/api/google-ai-studio`)} },\n});\nconst answer = await client.models.generateContent({\n  model: ${quoted(model)},\n  contents: 'Hello',\n});\nconsole.log(answer.text);` },
        { title: 'python', text: `from google import genai\nfrom google.genai import types\n\nclient = genai.Client(\n    api_key=${quoted(token)},\n    http_options=types.HttpOptions(base_url=${quoted(`${origin}/api/google-ai-studio`)}),\n)\nanswer = client.models.generate_content(\n    model=${quoted(model)},\n    contents="Hello",\n)\nprint(answer.text)` },
      ];
    case 'anthropic':
      return [
        { title: 'js', text: `import Anthropic from '@anthropic-ai/sdk';\n\nconst client = new Anthropic({\n  apiKey: ${quoted(token)},\n  baseURL: ${quoted(`${origin}/api/anthropic`)},\n});\nconst answer = await client.messages.create({\n  model: ${quoted(model)},\n  max_tokens: 256,\n  messages: [{ role: 'user', content: 'Hello' }],\n});\nconsole.log(answer.content[0].text);` },
        { title: 'python', text: `from anthropic import Anthropic\n\nclient = Anthropic(\n    api_key=${quoted(token)},\n    base_url=${quoted(`${origin}/api/anthropic`)},\n)\nanswer = client.messages.create(\n    model=${quoted(model)},\n    max_tokens=256,\n    messages=[{"role": "user", "content": "Hello"}],\n)\nprint(answer.content[0].text)` },
      ];
    case 'claude':
      return [{ title: 'shell', text: `export ANTHROPIC_BASE_URL=${word(`${origin}/api/anthropic`)}\nexport ANTHROPIC_AUTH_TOKEN=${word(token)}\nclaude --model ${word(model)}` }];
    case 'geminicli':
      return [{ title: 'shell', text: `export GOOGLE_GEMINI_BASE_URL=${word(`${origin}/api/google-ai-studio`)}\nexport GEMINI_API_KEY=${word(token)}\ngemini -m ${word(model)}` }];
    default:
      return [];
  }
}

/** What is to be entered into the forms of an app. */
export function fieldsOf(app: App, origin: string, provider: string, model: string, token: string): Settings['fields'] {
  const it = openaiFormat(origin, provider, model);
  if (app === 'cherry') {
    if (provider === 'google-ai-studio') return [{ name: 'provider', value: 'Gemini' }, { name: 'key', value: token }, { name: 'host', value: `${origin}/api/google-ai-studio` }, { name: 'model', value: model }];
    if (provider === 'anthropic') return [{ name: 'provider', value: 'Anthropic' }, { name: 'key', value: token }, { name: 'host', value: `${origin}/api/anthropic` }, { name: 'model', value: model }];
    return [{ name: 'provider', value: 'OpenAI' }, { name: 'key', value: token }, { name: 'host', value: it.base.replace(/\/v1$/, '') }, { name: 'model', value: it.model }];
  }
  if (app === 'openwebui') return [{ name: 'address', value: it.base }, { name: 'key', value: token }, { name: 'model', value: it.model }];
  return [];
}

// === Trying ===

export interface Trial { path: string; headers: Record<string, string>; body: unknown }

/** One small streamed request in the provider's own format, or OpenAI's. */
export function trial(provider: string, model: string, prompt: string): Trial {
  if (provider === 'google-ai-studio') {
    return {
      path: `/api/google-ai-studio/v1beta/models/${encodeURIComponent(model)}:streamGenerateContent?alt=sse`, headers: {},
      body: { contents: [{ role: 'user', parts: [{ text: prompt }] }] },
    };
  }
  const messages = [{ role: 'user', content: prompt }];
  if (provider === 'anthropic') return { path: '/api/anthropic/v1/messages', headers: { 'anthropic-version': '2023-06-01' }, body: { model, max_tokens: 256, stream: true, messages } };
  const it = openaiFormat('', provider, model);
  return { path: `${it.base}/chat/completions`, headers: {}, body: { model: it.model, stream: true, messages } };
}

/** The words in one event of a stream, whoever's it is. */
export function wordsIn(event: unknown): string {
  const it = event as {
    choices?: { delta?: { content?: string }; message?: { content?: string } }[];
    candidates?: { content?: { parts?: { text?: string }[] } }[];
    delta?: { text?: string };
  };
  return it.choices?.[0]?.delta?.content ?? it.choices?.[0]?.message?.content ?? it.candidates?.[0]?.content?.parts?.map((part) => part.text ?? '').join('') ?? it.delta?.text ?? '';
}

/** The data of the events in a stream of text, one after the other. */
export async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.pipeThrough(new TextDecoderStream() as unknown as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    rest += value ?? '';
    const lines = rest.split(/\r?\n/);
    rest = done ? '' : (lines.pop() ?? '');
    for (const line of lines) if (line.startsWith('data:')) yield line.slice(5).trim();
    if (done) return;
  }
}
