import { once } from 'node:events';
import { createServer } from 'node:http';
import * as z from 'zod';

const AttributeSchema = z.object({
  key: z.string(),
  value: z.record(z.string(), z.unknown()),
});
const SpanSchema = z.object({
  traceId: z.string(),
  spanId: z.string(),
  parentSpanId: z.string().optional(),
  name: z.string(),
  attributes: z.array(AttributeSchema),
});
const ExportSchema = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes: z.array(AttributeSchema) }),
      scopeSpans: z.array(z.object({ spans: z.array(SpanSchema) })),
    }),
  ),
});

type Attributes = Record<string, unknown>;
type ExportedSpan = {
  service: unknown;
  traceId: string;
  spanId: string;
  parentSpanId: string | undefined;
  name: string;
  attributes: Attributes;
};

const flat = (attributes: z.infer<typeof AttributeSchema>[]): Attributes =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

/** An OTLP/HTTP collector on a loopback port. Records every request; with `hangs` it never answers. */
export const startScriptedCollector = async ({ hangs = false } = {}) => {
  const spans: ExportedSpan[] = [];
  const requests: { path: string | undefined; type: string | undefined; apiKey: unknown }[] = [];

  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { url: path, headers } = request;
    const type = headers['content-type'];
    requests.push({ path, type, apiKey: headers['x-collector-key'] });
    if (type === 'application/json') {
      const exported = ExportSchema.parse(JSON.parse(Buffer.concat(chunks).toString('utf8')));
      for (const { resource, scopeSpans } of exported.resourceSpans) {
        const service = flat(resource.attributes)['service.name'];
        for (const span of scopeSpans.flatMap((scope) => scope.spans)) {
          const { parentSpanId, ...rest } = span;
          spans.push({ ...rest, service, parentSpanId, attributes: flat(span.attributes) });
        }
      }
    }
    if (!hangs)
      response.writeHead(200, { 'content-type': type }).end(type?.endsWith('json') ? '{}' : '');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The collector has no port');
  const url = `http://127.0.0.1:${address.port}`;

  return {
    url,
    spans,
    requests,
    close: async (): Promise<void> => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
};
