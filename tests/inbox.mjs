// Takes the messages of a webhook, and answers as it is told to.

import http from 'node:http';

/** A receiver on this machine. Its `url` is a secret, as those of real ones are. */
export async function openInbox() {
  const inbox = { messages: [], answer: [200, '{}'] };
  const server = http.createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    inbox.messages.push({ path: request.url, type: request.headers['content-type'], body: JSON.parse(text) });
    response.writeHead(inbox.answer[0], { 'content-type': 'application/json' }).end(inbox.answer[1]);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(inbox, {
    secret: 'hook-3f9c1a7e55-secret',
    url: `http://127.0.0.1:${server.address().port}/hook-3f9c1a7e55-secret`,
    empty: () => Object.assign(inbox, { messages: [], answer: [200, '{}'] }),
    close: () => server.close(),
  });
}
