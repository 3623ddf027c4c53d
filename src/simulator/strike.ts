import { type Answer, graphqlAnswer } from './answer.ts';
import type { FaultsByStage } from './faultSchema.ts';
import { refusal } from './refusal.ts';

type Deps = { expireTokens: () => void; respond: () => Answer };

const failed = (code: string, message: string, status = 200): Answer =>
  graphqlAnswer({ errors: [refusal(code, message)] }, status);

/** What a fault makes of a request. `respond` is how it would be answered without one. */
export const strike = (
  fault: FaultsByStage['arrival'],
  { expireTokens, respond }: Deps,
): Answer => {
  switch (fault.kind) {
    case 'internalServerError':
      return failed('INTERNAL_SERVER_ERROR', 'Something went wrong');
    case 'unauthenticated':
      return failed('UNAUTHENTICATED', 'The access token is not valid');
    case 'unknownCode':
      return failed(fault.code, 'Something new went wrong');
    case 'rateLimited': {
      const limited = failed('RATE_LIMITED', 'Too many requests', fault.status);
      const seconds = fault.retryAfterSeconds;

      return seconds === undefined
        ? limited
        : { ...limited, headers: { ...limited.headers, 'retry-after': String(seconds) } };
    }
    case 'html502':
      return {
        outcome: 'html502',
        status: 502,
        headers: { 'content-type': 'text/html' },
        body: '<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>',
        arrives: 'whole',
      };
    case 'emptyBody':
      return { outcome: 'emptyBody', status: 200, headers: {}, body: '', arrives: 'whole' };
    case 'expireTokens':
      expireTokens();
      return respond();
    case 'cutOff':
      return { ...respond(), arrives: 'half' };
    case 'reset':
      return { outcome: 'reset', status: 0, headers: {}, body: '', arrives: 'nothing' };
  }
};
