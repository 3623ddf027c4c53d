import { createHttpAdminClient } from '../../../src/cli/admin/httpAdminClient.ts';
import { serve } from '../../../src/runtime/httpServer.ts';

it('enqueue at a server that is not the API → throws with its status and body', async () => {
  const otherServer = { fetch: () => new Response('nothing here', { status: 404 }) };
  const { url, cut } = await serve(otherServer, { host: '127.0.0.1', port: 0 });
  const admin = createHttpAdminClient({ apiUrl: url, apiKey: 'key' });

  await expect(admin.enqueue([{}])).rejects.toThrow('The API answered 404: nothing here');

  await cut();
});
