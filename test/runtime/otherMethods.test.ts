import { Hono } from 'hono';
import { answerOtherMethods } from '../../src/runtime/otherMethods.ts';

const setup = () => {
  const app = new Hono({ strict: false });
  app.use(answerOtherMethods(app));
  app.get('/health', (c) => c.text('well'));
  app.post('/signals', (c) => c.text('taken'));
  app.get('/signals/:id', (c) => c.text('found'));
  app.delete('/signals/:id', (c) => c.text('gone'));
  app.all('/queues/*', (c) => c.text(c.req.method));
  const ask = async (method: string, path: string) => {
    const response = await app.request(path, { method });
    return [response.status, response.headers.get('allow')];
  };
  return { ask };
};

describe('methods that a path lacks', () => {
  it.each([
    { method: 'POST', path: '/health', answer: [405, 'GET, HEAD, OPTIONS'] },
    { method: 'GET', path: '/signals', answer: [405, 'POST, OPTIONS'] },
    { method: 'HEAD', path: '/signals', answer: [405, 'POST, OPTIONS'] },
    { method: 'PATCH', path: '/signals/7/', answer: [405, 'GET, HEAD, DELETE, OPTIONS'] },
    { method: 'OPTIONS', path: '/health', answer: [204, 'GET, HEAD, OPTIONS'] },
    { method: 'OPTIONS', path: '/', answer: [204, 'OPTIONS'] },
    { method: 'OPTIONS', path: '/nowhere', answer: [404, null] },
    { method: 'POST', path: '/nowhere', answer: [404, null] },
    { method: 'HEAD', path: '/health', answer: [200, null] },
    { method: 'GET', path: '/health/', answer: [200, null] },
    { method: 'PUT', path: '/queues/signals', answer: [200, null] },
  ])('$method $path → $answer', async ({ method, path, answer }) => {
    expect(await setup().ask(method, path)).toEqual(answer);
  });
});
