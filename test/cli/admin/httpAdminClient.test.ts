import { createHttpAdminClient } from '../../../src/cli/admin/httpAdminClient.ts';
import { serve } from '../../../src/runtime/httpServer.ts';

it('takes nothing but an answer of the API for one', async () => {
  const stranger = { fetch: () => new Response('nothing here', { status: 404 }) };
  const { url, cut } = await serve(stranger, { host: '127.0.0.1', port: 0 });
  const admin = createHttpAdminClient({ apiUrl: url, apiKey: 'key' });

  await expect(admin.enqueue([{}])).rejects.toThrow('The API answered 404: nothing here');

  await cut();
});
