import colours from 'picocolors';

import { printable, printableJson } from '../../../src/cli/io/terminal.ts';

const HOSTILE = '\u001b]0;pwned\u0007\u001b[2J\u001b[8m\u009b1A\r\u202egnol';

describe('printable', () => {
  it('control characters and direction overrides → replaced by �', () => {
    const shown = printable(HOSTILE);

    expect(shown).toBe('�]0;pwned��[2J�[8m�1A��gnol');
  });

  it('any script, line feeds, tabs and our own colours → unchanged', () => {
    const { red } = colours.createColors(true);
    const text = `${red('dead')}\tπλήρωση 漢字 العربية 🎯\nnext`;

    expect(printable(text)).toBe(text);
  });
});

describe('printableJson', () => {
  it('control characters → escaped, and parsed to the original value', () => {
    const json = printableJson({ reason: `${HOSTILE}\n` });

    expect(json).toMatch(/^[\x20-\x7e]+$/);
    expect(JSON.parse(json)).toEqual({ reason: `${HOSTILE}\n` });
  });
});
