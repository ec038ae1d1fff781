// The floor: only what every balancer must do. It buffers the body (a retry needs it again), copies the
// headers and swaps the key, forwards, and rewraps the answer (a fetched answer's headers are
// read-only). No state, no choice, no check.
export default {
  async fetch(request, env) {
    const body = await request.arrayBuffer();
    const headers = new Headers(request.headers);
    headers.set('authorization', env.KEY);
    const answer = await fetch(env.UPSTREAM, { method: request.method, headers, body, redirect: 'manual' });
    return new Response(answer.body, answer);
  },
};
