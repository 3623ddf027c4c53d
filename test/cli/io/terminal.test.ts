import colours from 'picocolors';

import { printable, printableJson } from '../../../src/cli/io/terminal.ts';

const HOSTILE = '\u001b]0;pwned\u0007\u001b[2J\u001b[8m\u009b1A\r\u202egnol';

describe('printable', () => {
  it('leaves no character that a terminal would do something for', () => {
    const shown = printable(HOSTILE);

    expect(shown).toBe('�]0;pwned��[2J�[8m�1A��gnol');
  });

  it('leaves words of any script, lines, columns and our own colours', () => {
    const { red } = colours.createColors(true);
    const text = `${red('dead')}\tπλήρωση 漢字 العربية 🎯\nnext`;

    expect(printable(text)).toBe(text);
  });
});

describe('printableJson', () => {
  it('says the same to a program', () => {
    const json = printableJson({ reason: `${HOSTILE}\n` });

    expect(json).toMatch(/^[\x20-\x7e]+$/);
    expect(JSON.parse(json)).toEqual({ reason: `${HOSTILE}\n` });
  });
});
