const CUT = '…';
const MAX_KEY_LENGTH = 200;

/**
 * A copy of a value from outside with at most about `budget` characters, for the log. What is cut off is
 * replaced by `…`.
 */
export const boundValue = (value: unknown, budget: number): unknown =>
  bound(value, { left: budget });

export const boundText = (text: string, maxLength: number): string =>
  text.length > maxLength ? `${text.slice(0, maxLength).toWellFormed()}${CUT}` : text;

/** Every value and every level costs something, so that neither long nor deep values use up no budget. */
const bound = (value: unknown, budget: { left: number }): unknown => {
  if (budget.left <= 0) return CUT;
  budget.left -= 4;
  if (typeof value === 'string') {
    const text = boundText(value, Math.max(0, budget.left));
    budget.left -= text.length;
    return text;
  }
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const items: unknown[] = [];
    for (const item of value) {
      const isCut = budget.left <= 0;
      items.push(bound(item, budget));
      if (isCut) break;
    }
    return items;
  }
  const entries: [string, unknown][] = [];
  for (const [key, inner] of Object.entries(value)) {
    const isCut = budget.left <= 0;
    const name = isCut ? CUT : boundText(key, MAX_KEY_LENGTH);
    budget.left -= name.length;
    entries.push([name, bound(inner, budget)]);
    if (isCut) break;
  }
  return Object.fromEntries(entries);
};
