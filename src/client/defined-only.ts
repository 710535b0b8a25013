/** Options as users give them, where an explicit `undefined` means "left out". */

/** The fields that are not `undefined`. */
export function definedOnly<T extends object>(options: T): T {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as T;
}
