import {
  escapeUnprintable,
  printable,
  printableJson,
  printableLine,
  printableValue,
} from '../../src/runtime/printable.ts';

const HOSTILE = '\u001b]0;pwned\u0007\u001b[31m\u001b[8m\u009b1A\r\u202egnol\u200f\u{e0041}';

describe('printable', () => {
  it('control characters, colours, direction overrides and tags → replaced by �', () => {
    expect(printable(HOSTILE)).toBe('�]0;pwned��[31m�[8m�1A��gnol��');
  });

  it('any script, emoji with joiners, line feeds and tabs → unchanged', () => {
    const text = 'dead\tπλήρωση 漢字 العربية 🎯 👩‍💻\nnext';

    expect(printable(text)).toBe(text);
  });
});

describe('printableLine', () => {
  it('line breaks of any kind → one space', () => {
    expect(printableLine('a\r\nstate: delivered\u2028b\tc')).toBe('a state: delivered b c');
  });
});

describe('printableValue', () => {
  it('texts and keys at every depth → cleaned; other values → unchanged', () => {
    const at = new Date(0);

    expect(printableValue({ a: ['\u001b[31mx', 1, null, { '/\u009b': true }], at })).toEqual({
      a: ['�[31mx', 1, null, { '/�': true }],
      at,
    });
  });
});

describe('printableJson', () => {
  it('control characters → escaped, and parsed to the original value', () => {
    const json = printableJson({ reason: `${HOSTILE}\n` });

    expect(json).toMatch(/^[\x20-\x7e]+$/);
    expect(JSON.parse(json)).toEqual({ reason: `${HOSTILE}\n` });
    expect(escapeUnprintable(json)).toBe(json);
  });
});
