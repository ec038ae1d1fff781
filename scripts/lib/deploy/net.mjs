// `fetch`, through a proxy where there is one: Node's own knows of none before Node 24; the one that
// Miniflare brings does.

let chosen;

export async function request(url, init) {
  chosen ??= choose(process.env);
  return (await chosen)(url, init);
}

async function choose(env) {
  if (!(env.HTTPS_PROXY ?? env.https_proxy ?? env.HTTP_PROXY ?? env.http_proxy)) return fetch;
  try {
    const { EnvHttpProxyAgent, fetch: proxied } = await import('undici');
    const dispatcher = new EnvHttpProxyAgent();
    return (url, init) => proxied(url, { ...init, dispatcher });
  } catch {
    return fetch;
  }
}
