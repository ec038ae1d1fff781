// The null proxy: what the runtime itself costs. Out of reach for anything that must be able to retry.
export default { fetch: (request, env) => fetch(env.UPSTREAM, request) };
